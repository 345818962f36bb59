/** The command line of one script: flags in, a report out, and the outcome as exit code. */
import { sayBanner } from "./cli/banner.ts";
import { flagsOf, readArgs, SHARED_FLAGS, wantsJson } from "./cli/flags.ts";
import { print } from "./cli/output.ts";
import { findPlace, type Place } from "./cli/place.ts";
import { askYesNo, canAsk } from "./cli/prompt.ts";
import { onSignals } from "./cli/signals.ts";
import { runUnit } from "./engine.ts";
import {
  asFailure,
  EXIT,
  EXIT_BUG,
  EXIT_USAGE,
  Interrupted,
  ShelterError,
  UsageError,
} from "./errors.ts";
import { createAct } from "./machine/act.ts";
import { type Machine, thisMachine } from "./machine/machine.ts";
import { createProbe } from "./machine/probe.ts";
import { errorLines, humanReport, type Layout } from "./report/human.ts";
import { painter, wantsColour } from "./report/palette.ts";
import { createVoice, type Voice } from "./report/voice.ts";
import { versionText } from "./release.ts";
import type { AnyUnit, Args, CallContext, Outcome, RunReport, ScriptId, Step } from "./unit.ts";

/** Finds other scripts' units. */
export type Others = (script: ScriptId) => Promise<AnyUnit | undefined>;

/** Runs one script as a command: prints its report and sets `process.exitCode`. */
export async function main(
  unit: AnyUnit,
  argv: readonly string[] = process.argv.slice(2),
  others?: Others,
): Promise<void> {
  const json = wantsJson(argv);
  try {
    if (argv.includes("--version")) return console.log(versionText(unit.id, json));
    if (argv.includes("--help") || argv.includes("-h")) {
      const { helpText } = await import("./cli/help.ts");
      return console.log(helpText(unit));
    }
    if (argv[0] === "run" && unit.run) {
      process.exitCode = await stay(unit.run, unit.id, argv.slice(1));
      return;
    }
    const want = await readArgs(unit.id, flagsOf(unit), argv);
    const machine = thisMachine();
    const place = await findPlace(machine, text(want["home"]));
    await sayBanner(createProbe(machine, place.home, place.host), json);
    const elsewhere = text(want["host"]);
    if (elsewhere !== undefined && elsewhere !== place.host) {
      const { runThere } = await import("./cli/elsewhere.ts");
      process.exitCode = await runThere(unit.id, machine, place, elsewhere, argv, json);
      return;
    }
    const report = await runHere(unit, machine, place, want, others ? { others } : {});
    printReport(report, want);
    process.exitCode = report.error?.id === "bug" ? EXIT_BUG : EXIT[report.outcome];
  } catch (error) {
    process.exitCode = sayError(error, json, unit.id);
  }
}

/** Starts the program of a unit that stays. It takes the flags of a place and a voice alone. */
async function stay(
  program: NonNullable<AnyUnit["run"]>,
  id: ScriptId,
  argv: readonly string[],
): Promise<number> {
  const { home, verbose } = SHARED_FLAGS;
  const want = await readArgs(`${id} run`, { ...(home && verbose ? { home, verbose } : {}) }, argv);
  const machine = thisMachine();
  const place = await findPlace(machine, text(want["home"]));
  return program(await longContext(machine, place, want));
}

/** What a program that stays is given: the signal fires once it is to end. */
export async function longContext(
  machine: Machine,
  place: Place,
  want: Args,
): Promise<CallContext> {
  const probe = createProbe(machine, place.home, place.host);
  const say = await createVoice({
    json: false,
    verbose: want["verbose"] === true,
    env: process.env,
  });
  return { probe, act: createAct(machine, probe), say, signal: onSignals(() => undefined) };
}

/** What a run shares with others of the same command; each has its own where left out. */
export interface Shared {
  readonly others?: Others;
  readonly signal?: AbortSignal;
  /** One voice, so that one run's progress bar is gone before the next line is said. */
  readonly say?: Voice;
}

/** Runs one unit on this machine with this process's voice and signals; used by a script alone and by `shelter`. */
export async function runHere(
  unit: AnyUnit,
  machine: Machine,
  place: Place,
  want: Args,
  shared: Shared = {},
): Promise<RunReport> {
  const json = want["json"] === true;
  const say =
    shared.say ??
    (await createVoice({ json, verbose: want["verbose"] === true, env: process.env }));
  const mode = (["plan", "verify", "undo"] as const).find((one) => want[one] === true) ?? "apply";
  const report = await runUnit(unit, {
    machine,
    ...place,
    want,
    mode,
    say,
    signal: shared.signal ?? onSignals(() => say.line("Still taking back: please wait")),
    ...(canAsk(want) ? { confirm } : {}),
    ...(shared.others ? { others: shared.others } : {}),
  });
  say.clear(); // what was left half drawn must not stand before the report
  return report;
}

/** Prints a report the way the flags ask for. */
export function printReport(report: RunReport, want: Args): void {
  if (want["json"] === true) print(JSON.stringify(report, null, 2));
  else print(humanReport(report, layout(want["verbose"] === true)).join("\n"));
}

/** Says an error that ended a command before there was a report; returns the exit code. */
export function sayError(error: unknown, json: boolean, script: string): number {
  const failure = asFailure(error);
  const outcome = outcomeOf(error);
  if (json) print(JSON.stringify({ schema: 1, script, outcome, error: failure }, null, 2));
  else console.error(errorLines(failure, layout(false)).join("\n"));
  if (error instanceof UsageError) return EXIT_USAGE;
  return error instanceof ShelterError ? EXIT[outcome] : EXIT_BUG;
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Interrupted) return "interrupted";
  return error instanceof ShelterError && error.id === "locked" ? "locked" : "blocked";
}

/** How this process's stdout wants a report laid out. */
export function layout(verbose: boolean): Layout {
  const terminal = process.stdout.isTTY;
  return {
    paint: painter(wantsColour(terminal, process.env)),
    // a serial console says 0 (seen in QEMU)
    columns: Math.min(process.stdout.columns > 0 ? process.stdout.columns : 100, 120),
    verbose,
  };
}

async function confirm(steps: readonly Step[]): Promise<boolean> {
  const { showStep } = await import("./steps/show.ts");
  const { printable } = await import("./report/text.ts");
  console.error("This reaches beyond the home:");
  for (const step of steps) console.error(`  → ${printable(showStep(step, false).text)}`);
  return askYesNo("Go on?", false);
}

function text(value: Args[string]): string | undefined {
  return typeof value === "string" ? value : undefined;
}
