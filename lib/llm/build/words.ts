/** Small readers of what programs say. */

/** The first line that says something, trimmed. */
export function firstLine(text: string): string {
  return (
    text
      .split("\n")
      .find((line) => line.trim() !== "")
      ?.trim() ?? ""
  );
}

/** The last lines that say something, as one. */
export function lastLines(text: string, count: number): string {
  const said = text.split("\n").filter((line) => line.trim() !== "");
  return said.slice(-count).join(" | ").trim() || "it said nothing";
}
