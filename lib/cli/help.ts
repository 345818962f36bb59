/** The help text of a script. */
import type { AnyUnit, Flag } from "../unit.ts";
import { table } from "../report/text.ts";
import { flagsOf } from "./flags.ts";

/** What `--help` prints. */
export function helpText(unit: Pick<AnyUnit, "id" | "summary" | "flags">): string {
  const flags = Object.entries(flagsOf(unit));
  const words = flags.filter(([, flag]) => flag.type === "positional");
  const usage = [unit.id, "[flags]", ...words.map(([name]) => `[${name.toUpperCase()}]`)].join(" ");
  const rows = [
    ...words.map(([name, flag]) => [`  ${name.toUpperCase()}`, flag.description]),
    ...flags
      .filter(([, flag]) => flag.type !== "positional")
      .map(([name, flag]) => [flagText(name, flag), flag.description]),
    ["  --help", "This text"],
    ["  --version", "Which release this is; with --json as a document"],
  ];
  return [
    unit.summary,
    "",
    `Usage: ${usage}`,
    "",
    ...table(rows),
    "",
    "Exit codes: 0 done or nothing to do, 2 usage, 10 changes pending, 11 blocked, 12 already running,",
    "13 failed and taken back, 14 taken back in part, 15 below baseline, 16 integrity failure, 130 interrupted.",
  ].join("\n");
}

function flagText(name: string, flag: Flag): string {
  return `  --${name}${flag.type === "string" ? ` ${flag.valueHint ?? "VALUE"}` : ""}`;
}
