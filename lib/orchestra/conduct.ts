/** Running several scripts in order: what failed in passing is tried again, what keeps failing is halted, the first failure ends it. */
import { EXIT } from "../errors.ts";
import { retrying, type Patience } from "../machine/retry.ts";
import { duration } from "../report/text.ts";
import type {
  AnyUnit,
  Args,
  Failure,
  Outcome,
  PastRun,
  RunReport,
  Say,
  ScriptId,
} from "../unit.ts";
import { knownFix, mayPass } from "./fixes.ts";

/** One script of a sequence, with the flags that it gets. */
export interface Stage {
  readonly script: ScriptId;
  readonly want?: Args;
}

/** What conducting needs from outside. */
export interface Conductor {
  readonly load: (script: ScriptId) => Promise<AnyUnit>;
  /** Runs a unit to its report; never throws for what happens on the machine. */
  readonly run: (unit: AnyUnit, want: Args) => Promise<RunReport>;
  /** Earlier runs of a script, newest first. */
  readonly past: (script: ScriptId) => readonly PastRun[];
  /** Hears of each report as it comes. */
  readonly heard: (report: RunReport) => void;
  readonly say: Say;
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  /** Runs also what has failed the same way too often. */
  readonly again?: boolean;
}

/** How a sequence went. `outcome` is the first failing script's; "changed" or "converged" when none failed. */
export interface Conducted {
  readonly outcome: Outcome;
  readonly runs: readonly RunReport[];
  /** Set where a script was not even started, because it has failed the same way too often. */
  readonly halted?: Failure;
}

/** Three attempts within one run of the sequence. */
const PATIENCE: Patience = { times: 3, first: 2000, longest: 30_000 };

/** The same failure this often in a row, and automation leaves the script alone. */
const HALT_AFTER = 3;

/**
 * How many runs in a row that fail with `because` halt a script. One `up` makes several of them where the failure may pass: they count as one, or a single
 * `up` without a network would be the last.
 */
export function haltsAfter(because: string): number {
  return mayPass(because) ? HALT_AFTER * PATIENCE.times : HALT_AFTER;
}

/** Outcomes of a run that failed in acting. A blocked one did nothing, and costs nothing to look at again. */
const FAILED_ACTING: ReadonlySet<Outcome> = new Set(["rolled-back", "broken", "corrupt"]);

/** Runs the stages in order until one fails. */
export async function conduct(stages: readonly Stage[], conductor: Conductor): Promise<Conducted> {
  const runs: RunReport[] = [];
  const { signal } = conductor;
  for (const { script, want = {} } of stages) {
    if (signal.aborted) return { outcome: "interrupted", runs };
    const halted = conductor.again ? undefined : haltOf(script, conductor.past(script));
    if (halted) return { outcome: "blocked", runs, halted };
    const unit = await conductor.load(script);
    const report = await untilItPasses(() => conductor.run(unit, want), conductor);
    runs.push(report);
    conductor.heard(report);
    if (EXIT[report.outcome] !== 0) return { outcome: report.outcome, runs };
  }
  return { outcome: runs.some((one) => one.outcome === "changed") ? "changed" : "converged", runs };
}

async function untilItPasses(
  attempt: () => Promise<RunReport>,
  { say, signal, patience = PATIENCE }: Conductor,
): Promise<RunReport> {
  let last: RunReport | undefined;
  let made = 0;
  try {
    return await retrying(
      async () => (last = await attempt()),
      (report) => {
        const again = worthAnother(report);
        const wait = duration(Math.min(patience.first * 2 ** made++, patience.longest));
        if (again)
          say.line(
            `${report.script} failed with ${report.error?.id ?? report.outcome}: ${report.error?.why ?? ""}. It may pass: trying again in ${wait} (attempt ${made + 1} of ${patience.times})`,
          );
        return again;
      },
      patience,
      signal,
    );
  } catch (error) {
    if (!signal.aborted || !last) throw error;
    return { ...last, outcome: "interrupted" };
  }
}

function worthAnother(report: RunReport): boolean {
  return (
    EXIT[report.outcome] !== 0 &&
    report.outcome !== "interrupted" &&
    report.outcome !== "broken" &&
    report.error !== undefined &&
    mayPass(report.error.id)
  );
}

/** How often a script has failed in the same way, counted back from its last run. */
export function streakOf(past: readonly PastRun[]): {
  readonly length: number;
  readonly because?: string;
  readonly runs: readonly PastRun[];
} {
  const [last] = past;
  if (!last || !FAILED_ACTING.has(last.outcome) || last.because === undefined) {
    return { length: 0, runs: [] };
  }
  const end = past.findIndex(
    (one) => !FAILED_ACTING.has(one.outcome) || one.because !== last.because,
  );
  const runs = end === -1 ? past : past.slice(0, end);
  return { length: runs.length, because: last.because, runs };
}

/** Why automation must not run a script again; undefined where it may. */
export function haltOf(script: ScriptId, past: readonly PastRun[]): Failure | undefined {
  const streak = streakOf(past);
  if (streak.because === undefined || streak.length < haltsAfter(streak.because)) return undefined;
  const fix = knownFix(script, streak.because);
  const times = streak.runs
    .slice(0, 5)
    .map((run) => `${run.at} ${run.outcome}`)
    .join(", ");
  return {
    id: "halted",
    what: `${script} failed ${streak.length} times in a row with ${streak.because}, so it was not run again`,
    why: `${times}. ${fix.advice}. When that is done: ./bin/${script}, or ./bin/shelter up --again`,
    fix: fix.command,
  };
}
