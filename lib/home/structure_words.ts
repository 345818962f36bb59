/** How 00_check_structure names paths. */
import type { StructureFacts } from "./structure_facts.ts";

/** The command that repairs what may be repaired. */
export const SCRIPT = "./bin/00_check_structure";
/** Names shown per finding. */
const SHOWN = 5;

/** A path from the home, and never with a line break in it: a name is data, also a hostile one. */
export function within({ home }: Pick<StructureFacts, "home">, path: string): string {
  return path === home
    ? "the home itself"
    : quoted(path.startsWith(`${home}/`) ? path.slice(home.length + 1) : path);
}

/** A name as it is, or in quotes where it holds control characters. */
export function quoted(text: string): string {
  return /\p{Cc}/u.test(text) ? JSON.stringify(text) : text;
}

/** The first few names; the rest is counted. */
export function few(all: readonly string[]): string {
  const rest = all.length - SHOWN;
  return all.slice(0, SHOWN).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
