/** The help of all 22 names as text, for the build to put into the program: `--help` then loads nothing. */
import { helpText } from "../lib/cli/help.ts";
import { absentHelp } from "../lib/orchestra/absent.ts";
import { NAMES, isScriptId, SHELTER_ID } from "../lib/orchestra/names.ts";
import { shelterHelp } from "../lib/orchestra/words.ts";
import { UNITS } from "./table.ts";

/** By name; `shelter` stands under both of its names. */
export async function helpOfAllNames(): Promise<Readonly<Record<string, string>>> {
  const texts: Record<string, string> = {};
  for (const name of NAMES) {
    if (!isScriptId(name) || name === SHELTER_ID) texts[name] = shelterHelp();
    else {
      const unit = (await UNITS[name]?.())?.unit;
      texts[name] = unit ? helpText(unit) : absentHelp(name);
    }
  }
  return texts;
}
