/** The 22 names of the one program, and which of them it was called by. */
import { ROSTER } from "../roster.ts";
import type { ScriptId } from "../unit.ts";

/** The unified command's short name; its script is 08_shelter_cli. */
export const SHELTER = "shelter";
/** The script behind that name. */
export const SHELTER_ID: ScriptId = "08_shelter_cli";

/** Name of the lock that `shelter serve` holds while it runs. */
export const SERVE_LOCK = "serve";

/** All names that a release has in bin/. */
export const NAMES: readonly string[] = [...ROSTER.map((row) => row.id), SHELTER];

/** Tells whether a word is one of the 21 scripts. */
export function isScriptId(word: string): word is ScriptId {
  return ROSTER.some((row) => row.id === word);
}

/**
 * The name that a process was called by. A symbolic link is known by argv0 alone and a hard link also by execPath (both measured with Bun 1.4.4);
 * whatever else it is called behaves as `shelter`.
 */
export function calledAs(argv0: string, execPath: string): string {
  for (const path of [argv0, execPath]) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (NAMES.includes(name)) return name;
  }
  return SHELTER;
}

/** What a command line is about: `shelter <script> …` is the script itself, and 08_shelter_cli is `shelter`. */
export function addressed(
  name: string,
  argv: readonly string[],
): { readonly name: string; readonly argv: readonly string[] } {
  if (name !== SHELTER && name !== SHELTER_ID) return { name, argv };
  const [first, ...rest] = argv;
  if (first === SHELTER || first === SHELTER_ID) return addressed(SHELTER, rest);
  return first !== undefined && isScriptId(first)
    ? { name: first, argv: rest }
    : { name: SHELTER, argv };
}
