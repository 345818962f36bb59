/** Plain text: numbers for people, tables, and outside text made harmless for a terminal. */

/** Outside text as one harmless line: control characters, escapes and bidirectional overrides become visible marks. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu, (character) => {
    if (character === "\n" || character === "\t") return " ";
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

/** Like `printable`, but line breaks stay: for a model's answer. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** Bytes in binary units, e.g. "1.5 GiB". */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = 0;
  for (; Math.abs(value) >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds as a person would say them, e.g. "1.2 s", "3 min 05 s", "2 h 10 min", "4 d 3 h". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const two = (value: number) => String(Math.floor(value)).padStart(2, "0");
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${two((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Cells a text takes on a terminal. */
export function width(text: string): number {
  return Bun.stringWidth(text);
}

/** Rows as lines with aligned columns, two spaces apart; nothing after the last column. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, width(cell));
    }
  }
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - width(cell)),
      )
      .join("  ")
      .trimEnd(),
  );
}

/** Breaks text at spaces so that no line is wider than `columns`, where a word allows it. */
export function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && width(line) + 1 + width(word) > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** A text of at most so many cells: what is cut off shows as an ellipsis. */
export function cut(text: string, cells: number): string {
  if (width(text) <= cells) return text;
  return `${chop(text, Math.max(1, cells - 1))[0] ?? ""}${cells > 1 ? "…" : ""}`;
}

/** A text in pieces of at most so many cells. */
export function chop(text: string, cells: number): readonly string[] {
  if (width(text) <= cells) return [text];
  const pieces: string[] = [];
  let piece = "";
  for (const character of text) {
    if (piece !== "" && width(piece + character) > cells) {
      pieces.push(piece);
      piece = "";
    }
    piece += character;
  }
  return [...pieces, piece];
}

/** An argument list as a command line that a person can copy: what a shell would split or expand is quoted. */
export function commandLine(argv: readonly string[]): string {
  return argv
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}
