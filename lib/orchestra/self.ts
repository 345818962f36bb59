/** How this program starts itself anew, e.g. as root. */
import { join } from "node:path";
import { COMPILED } from "../release.ts";
import type { ScriptId } from "../unit.ts";

/** The command line of one of our scripts, as an argument list: the binary that runs now, or Bun with the script's source. */
export function ownCommand(script: ScriptId, flags: readonly string[]): readonly string[] {
  if (COMPILED) return [process.execPath, script, ...flags];
  return [
    process.execPath,
    join(import.meta.dirname, "..", "..", "scripts", `${script}.ts`),
    ...flags,
  ];
}
