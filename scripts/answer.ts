/** Hands a command line to the script it is about. */
import { SHELTER, isScriptId } from "../lib/orchestra/names.ts";
import { UNITS } from "./table.ts";

/** Runs one of the 22 names; ends with `process.exitCode` set. */
export async function answer(name: string, argv: readonly string[]): Promise<void> {
  const load = isScriptId(name) ? UNITS[name] : undefined;
  if (load) {
    const { main } = await import("../lib/cli.ts");
    return main((await load()).unit, argv);
  }
  if (name !== SHELTER && isScriptId(name)) {
    const { sayAbsent } = await import("../lib/orchestra/absent.ts");
    return sayAbsent(name, argv);
  }
  const { shelter } = await import("./08_shelter_cli.ts");
  return shelter(argv);
}
