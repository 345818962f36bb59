/**
 * The stages of every run, in order: lock -> finish what a killed run left -> (observe -> diagnose -> plan -> snapshot and journal -> apply)* until the
 * plan is empty -> status -> journal -> report. On failure or a signal everything is undone, last step first.
 */
import { checkNeeds } from "./engine/needs.ts";
import { recoverKilledRuns } from "./engine/recover.ts";
import { Run, type RunOptions } from "./engine/run.ts";
import { keepWhatIsLeft, undoLastRun } from "./engine/undo.ts";
import { asFailure, EXIT, IntegrityError, Interrupted, readable, ShelterError } from "./errors.ts";
import { appendEntry } from "./keep/journal.ts";
import { takeLock } from "./keep/lock.ts";
import { retentionOf } from "./hosts/config.ts";
import { pruneSnapshots } from "./keep/retention.ts";
import {
  lastStarted,
  NOTHING_STARTED,
  noteStarted,
  readManifest,
  roundId,
  saveRound,
  withoutContent,
} from "./keep/snapshot.ts";
import { noteWrote } from "./keep/wrote.ts";
import { carryOut } from "./steps/carry_out.ts";
import { reachesBeyond, showStep } from "./steps/show.ts";
import { endTemporary, leavesNothing, takeBack } from "./steps/take_back.ts";
import type { AnyUnit, Args, Failure, Outcome, RunReport, Step } from "./unit.ts";

export type { RunOptions } from "./engine/run.ts";

/** Rounds after which a plan that never empties is given up. */
const MAX_ROUNDS = 5;

/** Runs one unit. Never throws for what happens on the machine: the report says it. */
export async function runUnit(unit: AnyUnit, options: RunOptions): Promise<RunReport> {
  const run = new Run(unit, options);
  try {
    if (options.mode === "apply") return await underLock(run, applyRounds);
    if (options.mode === "undo") return await underLock(run, undo);
    return await look(run);
  } catch (thrown) {
    const { signal } = options;
    const error: unknown = signal.aborted ? signal.reason : thrown;
    const outcome = error instanceof IntegrityError ? "corrupt" : "blocked";
    return run.report(error instanceof Interrupted ? "interrupted" : outcome, {
      error: asFailure(readable(error)),
    });
  }
}

/** --plan and --verify: reads, and writes nothing at all. */
async function look(run: Run): Promise<RunReport> {
  const plan = await run.see();
  checkNeedsOf(run, plan);
  run.shown.push(...plan.map((step) => showStep(step, false)));
  const failed = run.findings.find((one) => one.level === "fail");
  if (failed) return run.report(failed.means ?? "blocked");
  return run.report(plan.length > 0 ? "planned" : "converged");
}

async function underLock(run: Run, work: (run: Run) => Promise<RunReport>): Promise<RunReport> {
  const { unit, context, options } = run;
  const lock = await takeLock(context.probe, context.act, unit.id, { script: unit.id });
  if ("busy" in lock) {
    const { busy, age } = lock;
    const seconds = Math.round(age / 1000);
    const error = {
      id: "locked",
      what: `${unit.id} is running already`,
      why: `process ${busy.pid} (${busy.script}) has held its lock for ${seconds} s, since ${busy.since}`,
      fix: ["ps", "-fp", String(busy.pid)],
    };
    return run.report("locked", { error });
  }
  try {
    run.recovered = await recoverKilledRuns(unit, context, options.others);
    return await work(run);
  } finally {
    await lock.release();
  }
}

async function applyRounds(run: Run): Promise<RunReport> {
  const { probe, act } = run.context;
  let standing = 0;
  for (let round = 0; ; round++) {
    let plan: readonly Step[];
    let stop: Stop | undefined;
    try {
      plan = await run.see();
      stop = await mayGoOn(run, plan, round);
    } catch (error) {
      if (round === 0) throw error;
      return await fail(run, error);
    }
    if (stop && round > 0 && plan.length > 0) {
      const { id, what, why, fix } = stop.error;
      return await fail(run, new ShelterError(id, what, why, fix));
    }
    if (stop) return await finish(run, stop.outcome, round, standing, stop.error);
    if (plan.length === 0) {
      return await finish(run, round > 0 ? "changed" : "converged", round, standing);
    }
    const steps = plan.map((step) => showStep(step, false));
    const common = { run: run.id, script: run.unit.id, steps };
    try {
      // the snapshot comes before the journal's line, so that a line never points at nothing
      await saveRound(probe, act, run.id, run.unit.id, plan);
      const first = { kind: "begin", ...common } as const;
      await appendEntry(probe, act, round === 0 ? first : { kind: "round", round, ...common });
    } catch (error) {
      if (round > 0) return await fail(run, error);
      act.remove(run.snapshot);
      throw error;
    }
    try {
      await applyRound(run, plan, round);
    } catch (error) {
      return await fail(run, error);
    }
    standing += plan.filter((step) => !leavesNothing(step)).length;
  }
}

async function applyRound(run: Run, plan: readonly Step[], round: number): Promise<void> {
  const { probe, act, say, signal } = run.context;
  for (const [index, step] of plan.entries()) {
    signal.throwIfAborted();
    noteStarted(probe, act, run.id, round, index);
    const shown = showStep(step, true);
    say.detail({ step: shown.text, round });
    const place = { run: run.id, round: roundId(run.id, round), step: index };
    await carryOut(run.unit, run.context, step, place);
    await noteWrote(probe, act, run.id, withoutContent(step), place);
    run.shown.push(shown);
  }
  signal.throwIfAborted();
}

/** Why a run must stop, and how it ends because of it. */
interface Stop {
  readonly outcome: Outcome;
  readonly error: Failure;
}

async function mayGoOn(run: Run, plan: readonly Step[], round: number): Promise<Stop | undefined> {
  const { unit, options } = run;
  if (round === 0) checkNeedsOf(run, plan);
  const failed = run.findings.find((one) => one.level === "fail");
  if (failed) {
    const { id, what, why, fix } = failed;
    return {
      outcome: failed.means ?? "blocked",
      error: { id, what, why, ...(fix ? { fix } : {}) },
    };
  }
  if (plan.length === 0) return undefined;
  if (round >= MAX_ROUNDS) {
    const next = plan.map((step) => showStep(step, false).text).join("; ");
    const what = `${unit.id} after ${MAX_ROUNDS} rounds`;
    const error = { id: "never-converges", what, why: `there is still to do: ${next}` };
    return { outcome: "rolled-back", error };
  }
  const risky = plan.filter((step) => reachesBeyond(options.home, step));
  if (risky.length === 0 || options.want["yes"] === true) return undefined;
  if (await options.confirm?.(risky)) return undefined;
  const error: Failure = {
    id: "not-confirmed",
    what: `${risky.length} step(s) of ${unit.id} reach beyond the home`,
    why: options.confirm ? "they were not confirmed" : "there is no terminal to ask on",
    fix: [`./bin/${unit.id}`, ...ownFlags(unit, options.want), "--yes"],
  };
  return { outcome: "blocked", error };
}

/** The unit's own flags as they were given, for the command that does the same once more. */
function ownFlags(unit: AnyUnit, want: Args): readonly string[] {
  return Object.entries(unit.flags ?? {}).flatMap(([name, { type }]) => {
    const value = want[name];
    if (type === "boolean") return value === true ? [`--${name}`] : [];
    if (typeof value !== "string" || value === "") return [];
    return type === "positional" ? [value] : [`--${name}`, value];
  });
}

function checkNeedsOf(run: Run, plan: readonly Step[]): void {
  if (plan.length === 0) return;
  run.findings = [...run.findings, ...checkNeeds(run.unit, run.context.probe, plan)];
}

/** A run that failed or was interrupted: everything comes back. */
async function fail(run: Run, thrown: unknown): Promise<RunReport> {
  const { probe, act, say, signal } = run.context;
  const reason = readable(signal.aborted ? signal.reason : thrown);
  const interrupted = reason instanceof Interrupted;
  say.line(`${interrupted ? "Interrupted" : "Failed"}: taking back what was done`);
  const manifest = readManifest(probe, run.id);
  const upTo = lastStarted(probe, run.id) ?? NOTHING_STARTED;
  const left = manifest ? await takeBack(run.unit, run.calm, manifest, upTo) : [];
  // wrong bytes are told apart from bad luck, although both were taken back: trying again won't help
  const failed = reason instanceof IntegrityError ? "corrupt" : "rolled-back";
  const clean = interrupted ? "interrupted" : failed;
  const outcome: Outcome = left.length > 0 ? "broken" : clean;
  const error = asFailure(reason);
  const unrecorded = await run.end(outcome, left.length, { error, left });
  if (left.length === 0 && !unrecorded) act.remove(run.snapshot);
  for (const [index, step] of run.shown.entries()) run.shown[index] = { ...step, done: false };
  return run.report(outcome, { error, left });
}

async function finish(
  run: Run,
  outcome: Outcome,
  rounds: number,
  standing: number,
  error?: Failure,
): Promise<RunReport> {
  const { probe, act } = run.context;
  const acted = rounds > 0;
  const manifest = acted ? readManifest(probe, run.id) : undefined;
  const left = manifest ? await endTemporary(run.unit, run.context, manifest) : [];
  const final: Outcome = left.length > 0 ? "broken" : outcome;
  const taken = EXIT[final] === 0 ? run.takesBack(acted) : {};
  const ending = { ...(error ? { error } : {}), left, ...taken };
  try {
    if (manifest) await keepWhatIsLeft(probe, act, manifest);
  } catch (thrown) {
    return await fail(run, thrown);
  }
  const news = acted || taken.undoes !== undefined || run.isNews(final);
  if (!news) return run.report(final, ending);
  if (!acted) {
    await appendEntry(probe, act, { kind: "begin", run: run.id, script: run.unit.id, steps: [] });
  }
  const unrecorded = await run.end(final, standing, ending);
  if (unrecorded) {
    const { what, why, fix } = unrecorded;
    // what no record tells of must not stand: an --undo would not know it
    if (acted) return await fail(run, new ShelterError(unrecorded.id, what, why, fix));
    return run.report("blocked", { error: unrecorded });
  }
  if (acted) pruneSnapshots(probe, act, run.unit.id, (await retentionOf(probe)).snapshots);
  return run.report(final, ending);
}

async function undo(run: Run): Promise<RunReport> {
  const undone = await undoLastRun(run.unit, run.context, run.id);
  run.shown.push(...undone.shown);
  if (undone.undoes === undefined) return run.report(undone.outcome, undone);
  await run.seeAfter(); // the report and the record tell of the host as it is now
  const unrecorded = await run.end(undone.outcome, undone.shown.length, undone);
  if (unrecorded) return run.report("broken", { ...undone, error: unrecorded });
  return run.report(undone.outcome, undone);
}
