/** Hands a command line to the script it is about. */
import { SHELTER_ID } from "../lib/orchestra/names.ts";
import { shelter } from "./08_shelter_cli.ts";

/** Runs one of the 22 names; ends with `process.exitCode` set. */
export async function answer(name: string, argv: readonly string[]): Promise<void> {
  await shelter(name === "shelter" || name === SHELTER_ID ? argv : [name, ...argv]);
}
