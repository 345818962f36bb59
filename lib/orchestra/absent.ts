/** A script of the roster whose code is not part of this build: it says so, and pretends nothing. */
import { printReport, sayError } from "../cli.ts";
import { readArgs, SHARED_FLAGS, wantsJson } from "../cli/flags.ts";
import { print } from "../cli/output.ts";
import { findPlace } from "../cli/place.ts";
import { EXIT } from "../errors.ts";
import { thisMachine } from "../machine/machine.ts";
import { versionText } from "../release.ts";
import { ROSTER } from "../roster.ts";
import type { ScriptId } from "../unit.ts";
import { textOf } from "./desk.ts";

/** Help of a script that is not part of this build. */
export function absentHelp(script: ScriptId): string {
  const summary = ROSTER.find((row) => row.id === script)?.summary ?? script;
  return `${summary}\n\n${script} is not part of this build. ./bin/shelter status shows what is.`;
}

/** Answers for it: exit code 11. */
export async function sayAbsent(script: ScriptId, argv: readonly string[]): Promise<void> {
  const json = wantsJson(argv);
  try {
    if (argv.includes("--version")) return print(versionText(script, json));
    if (argv.includes("--help") || argv.includes("-h")) return print(absentHelp(script));
    const want = await readArgs(script, SHARED_FLAGS, argv);
    const { host } = await findPlace(thisMachine(), textOf(want, "home"));
    const fix = ["./bin/shelter", "status"];
    const error = { id: "not-in-build", what: script, why: "it is not part of this build", fix };
    printReport(
      {
        schema: 1,
        run: "",
        script,
        host,
        outcome: "absent",
        at: new Date().toISOString(),
        took_ms: 0,
        facts: null,
        findings: [],
        steps: [],
        unasked: [],
        error,
      },
      want,
    );
    process.exitCode = EXIT.absent;
  } catch (error) {
    process.exitCode = sayError(error, json, script);
  }
}
