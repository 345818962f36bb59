/** Small readers of what programs say, and of a call's arguments. */
import type { Json } from "../../unit.ts";

/** An argument of a call that must be text. Throws where the plan gave something else: our own bug. */
export function textOf(args: { readonly [key: string]: Json }, name: string): string {
  const value = args[name];
  if (typeof value === "string") return value;
  throw new Error(`the argument ${name} of a call is no text`);
}

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
