/**
 * The stages of every run, in order: lock -> finish what a killed run left -> (observe -> diagnose -> plan -> journal and snapshot -> apply)* until the
 * plan is empty -> status -> journal -> report. On failure or a signal everything is undone, last step first.
 */
import { asFailure, Interrupted, IntegrityError, readable, ShelterError } from "./errors.ts";
import { checkNeeds } from "./engine/needs.ts";
import { recordEnd } from "./engine/record.ts";
import { recoverKilledRuns } from "./engine/recover.ts";
import { keepWhatIsLeft, undoLastRun } from "./engine/undo.ts";
import { appendEntry, pastRuns } from "./keep/journal.ts";
import { inHome } from "./keep/home.ts";
import { type Busy, takeLock } from "./keep/lock.ts";
import {
  lastStarted,
  noteStarted,
  pruneSnapshots,
  readManifest,
  saveRound,
} from "./keep/snapshot.ts";
import { fingerprintOf, isDone, readStatus } from "./keep/status.ts";
import { createAct } from "./machine/act.ts";
import type { Machine } from "./machine/machine.ts";
import { createProbe } from "./machine/probe.ts";
import { openMemoryLog } from "./keep/memory_log.ts";
import { carryOut } from "./steps/carry_out.ts";
import { reachesBeyond, showStep } from "./steps/show.ts";
import { endTemporary, leavesNothing, takeBack } from "./steps/take_back.ts";
import type {
  AnyUnit,
  Args,
  CallContext,
  Failure,
  Finding,
  HostName,
  Json,
  Outcome,
  RunReport,
  Say,
  ScriptId,
  ShownStep,
  Step,
} from "./unit.ts";

/** What a run is given. */
export interface RunOptions {
  readonly machine: Machine;
  readonly home: string;
  readonly host: HostName;
  readonly want: Args;
  readonly mode: "plan" | "verify" | "apply" | "undo";
  readonly say: Say;
  /** Fires on Ctrl-C and the like. */
  readonly signal: AbortSignal;
  /** Asks the person whether to go on with a risky plan; left out where there is nobody to ask. */
  readonly confirm?: (steps: readonly Step[]) => Promise<boolean>;
  /** Finds another script's unit, so that a killed run of it can be finished too. */
  readonly others?: (script: ScriptId) => Promise<AnyUnit | undefined>;
}

/** Rounds after which a plan that never empties is given up. */
const MAX_ROUNDS = 5;

/** Runs one unit. Never throws for what happens on the machine: the report says it. */
export async function runUnit(unit: AnyUnit, options: RunOptions): Promise<RunReport> {
  const run = new Run(unit, options);
  try {
    if (options.mode === "apply") return await run.apply();
    if (options.mode === "undo") return await run.undo();
    return await run.look();
  } catch (error) {
    return run.report(blockedBy(error), { error: asFailure(readable(error)) });
  }
}

/** One run of one unit: what it has seen and done so far. */
class Run {
  readonly id: string;
  readonly context: CallContext;
  private readonly startedAt: number;
  private readonly clock = performance.now();
  private readonly shown: ShownStep[] = [];
  private readonly log;
  private facts: unknown = null;
  private findings: readonly Finding[] = [];

  constructor(
    readonly unit: AnyUnit,
    readonly options: RunOptions,
  ) {
    const probe = createProbe(options.machine, options.home, options.host);
    const act = createAct(options.machine, probe);
    this.startedAt = probe.now();
    this.id = runId(this.startedAt, unit.id);
    this.log = openMemoryLog(probe, act, unit.id, this.id);
    const { say, signal } = options;
    const keepsLog = options.mode === "apply" || options.mode === "undo";
    this.context = {
      probe,
      act,
      signal,
      say: {
        ...say,
        line: (text) => {
          say.line(text);
          if (keepsLog) this.log.write({ line: text });
        },
        detail: (record) => {
          say.detail(record);
          if (keepsLog) this.log.write(record);
        },
      },
    };
  }

  /** --plan and --verify: reads, and writes nothing at all. */
  async look(): Promise<RunReport> {
    const plan = await this.see();
    if (plan.length > 0) this.findings = [...this.findings, ...this.unmet(plan)];
    this.shown.push(...plan.map((step) => showStep(step, false)));
    const failed = this.findings.find((one) => one.level === "fail");
    if (failed) return this.report(failed.means ?? "blocked");
    return this.report(plan.length > 0 ? "planned" : "converged");
  }

  async apply(): Promise<RunReport> {
    const { probe, act } = this.context;
    const lock = await takeLock(probe, act, this.unit.id, { script: this.unit.id });
    if ("busy" in lock) return this.report("locked", { error: lockedFailure(this.unit.id, lock) });
    try {
      await recoverKilledRuns(this.unit, this.context, this.options.others);
      return await this.rounds();
    } finally {
      await lock.release();
    }
  }

  async undo(): Promise<RunReport> {
    const { probe, act } = this.context;
    const lock = await takeLock(probe, act, this.unit.id, { script: this.unit.id });
    if ("busy" in lock) return this.report("locked", { error: lockedFailure(this.unit.id, lock) });
    try {
      await recoverKilledRuns(this.unit, this.context, this.options.others);
      const undone = await undoLastRun(this.unit, this.context, this.id);
      this.shown.push(...undone.shown);
      if (undone.outcome !== "converged")
        await this.end(undone.outcome, undone.shown.length, undone);
      return this.report(undone.outcome, undone);
    } finally {
      await lock.release();
    }
  }

  private async rounds(): Promise<RunReport> {
    let acted = false;
    let standing = 0;
    for (let round = 0; ; round++) {
      let plan: readonly Step[];
      let stop: { readonly outcome: Outcome; readonly error?: Failure } | undefined;
      try {
        plan = await this.see();
        stop = await this.mayGoOn(plan, round);
      } catch (error) {
        if (!acted) throw error;
        return await this.fail(error);
      }
      if (stop && acted && plan.length > 0) {
        return await this.fail(
          new ShelterError(
            stop.error?.id ?? "cannot-go-on",
            stop.error?.what ?? `round ${round + 1} of ${this.unit.id}`,
            stop.error?.why ?? "what it made does not allow the next round",
            stop.error?.fix,
          ),
        );
      }
      if (stop) return await this.finish(stop.outcome, acted, standing, stop.error);
      if (plan.length === 0)
        return await this.finish(acted ? "changed" : "converged", acted, standing);
      const shown = plan.map((step) => showStep(step, false));
      const common = { run: this.id, script: this.unit.id, steps: shown };
      try {
        // The snapshot comes before the journal's line, so that a line never points at nothing
        await saveRound(this.context.probe, this.context.act, this.id, this.unit.id, plan);
        await appendEntry(
          this.context.probe,
          this.context.act,
          round === 0 ? { kind: "begin", ...common } : { kind: "round", round, ...common },
        );
      } catch (error) {
        if (acted) return await this.fail(error);
        this.context.act.remove(inHome.snapshots(this.context.probe.home, this.id));
        throw error;
      }
      acted = true;
      try {
        await this.applyRound(plan, round);
      } catch (error) {
        return await this.fail(error);
      }
      standing += plan.filter((step) => !leavesNothing(step)).length;
    }
  }

  private async applyRound(plan: readonly Step[], round: number): Promise<void> {
    const { probe, act, say, signal } = this.context;
    for (const [index, step] of plan.entries()) {
      signal.throwIfAborted();
      noteStarted(probe, act, this.id, round, index);
      const shown = showStep(step, true);
      say.detail({ step: shown.text, round });
      await carryOut(this.unit, this.context, step, { run: this.id, round, step: index });
      this.shown.push(shown);
    }
    signal.throwIfAborted();
  }

  /** Reads, judges and plans, all three anew. */
  private async see(): Promise<readonly Step[]> {
    const { unit, options } = this;
    this.facts = await unit.observe(this.context.probe, options.want);
    this.findings = unit.diagnose(this.facts, options.want);
    return unit.plan(this.facts, options.want);
  }

  private unmet(plan: readonly Step[]): readonly Finding[] {
    return checkNeeds(this.unit, this.context.probe, plan);
  }

  /** Why the run must stop here, if it must. */
  private async mayGoOn(plan: readonly Step[], round: number) {
    if (plan.length > 0 && round === 0) this.findings = [...this.findings, ...this.unmet(plan)];
    const failed = this.findings.find((one) => one.level === "fail");
    if (failed) {
      const { id, what, why, fix } = failed;
      return {
        outcome: failed.means ?? "blocked",
        error: { id, what, why, ...(fix ? { fix } : {}) },
      } as const;
    }
    if (plan.length === 0) return undefined;
    if (round >= MAX_ROUNDS) {
      const next = plan.map((step) => showStep(step, false).text).join("; ");
      const error = {
        id: "never-converges",
        what: `${this.unit.id} after ${MAX_ROUNDS} rounds`,
        why: `there is still to do: ${next}`,
      };
      return { outcome: "rolled-back", error } as const;
    }
    const risky = plan.filter((step) => reachesBeyond(this.context.probe.home, step));
    if (risky.length === 0 || this.options.want["yes"] === true) return undefined;
    if (await this.options.confirm?.(risky)) return undefined;
    const error: Failure = {
      id: "not-confirmed",
      what: `${risky.length} step(s) of ${this.unit.id} reach beyond the home`,
      why: this.options.confirm ? "they were not confirmed" : "there is no terminal to ask on",
      fix: [`./bin/${this.unit.id}`, "--yes"],
    };
    return { outcome: "blocked", error } as const;
  }

  /** A run that failed or was interrupted: everything comes back. */
  private async fail(thrown: unknown): Promise<RunReport> {
    const { probe, act, say, signal } = this.context;
    const error = readable(signal.aborted ? signal.reason : thrown);
    say.line(
      signal.aborted
        ? "Interrupted: taking back what was done"
        : "Failed: taking back what was done",
    );
    const manifest = readManifest(probe, this.id);
    const calm: CallContext = { ...this.context, signal: new AbortController().signal };
    const left = manifest
      ? await takeBack(
          this.unit,
          calm,
          manifest,
          lastStarted(probe, this.id) ?? { round: -1, step: -1 },
        )
      : [];
    const outcome: Outcome =
      left.length > 0 ? "broken" : error instanceof Interrupted ? "interrupted" : "rolled-back";
    const failure = asFailure(error);
    const ended = await this.end(outcome, left.length, { error: failure, left });
    if (left.length === 0) act.remove(inHome.snapshots(probe.home, this.id));
    for (const [index, step] of this.shown.entries()) this.shown[index] = { ...step, done: false };
    return this.report(ended ?? outcome, { error: failure, left });
  }

  private async finish(
    outcome: Outcome,
    acted: boolean,
    standing: number,
    error?: Failure,
  ): Promise<RunReport> {
    const { probe, act } = this.context;
    const left: string[] = [];
    if (acted) {
      const manifest = readManifest(probe, this.id);
      if (manifest) {
        left.push(...(await endTemporary(this.unit, this.context, manifest)));
        await keepWhatIsLeft(probe, act, manifest);
      }
      pruneSnapshots(probe, act, this.unit.id);
    }
    const final: Outcome = left.length > 0 ? "broken" : outcome;
    if (acted || this.isNews(final)) {
      if (!acted)
        await appendEntry(probe, act, {
          kind: "begin",
          run: this.id,
          script: this.unit.id,
          steps: [],
        });
      const ended = await this.end(final, standing, { ...(error ? { error } : {}), left });
      if (ended) return this.report(ended, { ...(error ? { error } : {}), left });
    }
    return this.report(final, {
      ...(error ? { error } : {}),
      ...(left.length > 0 ? { left } : {}),
    });
  }

  /** A run that found nothing to do is kept only where it tells something that the status does not say already. */
  private isNews(outcome: Outcome): boolean {
    const { probe } = this.context;
    const status = readStatus(probe, this.unit.flag);
    if (outcome !== "converged" || !isDone(status)) return true;
    if (status.fingerprint !== this.fingerprint()) return true;
    const age = probe.now() - Date.parse(status.at);
    return age < 0 || (this.unit.staleAfter !== undefined && age > this.unit.staleAfter / 2);
  }

  /** Journal, history and status of a run that is over. Returns "broken" where they could not be written. */
  private async end(
    outcome: Outcome,
    steps: number,
    also: {
      readonly error?: Failure;
      readonly left?: readonly string[];
      readonly undoes?: string;
    },
  ): Promise<Outcome | undefined> {
    const { probe, act, say } = this.context;
    const entry = {
      run: this.id,
      script: this.unit.id,
      outcome,
      took_ms: this.took(),
      steps,
      log_sha256: this.log.digest(),
      flag: this.unit.flag,
      fingerprint: this.fingerprint(),
      facts: this.digest(),
      ...(also.undoes === undefined ? {} : { undoes: also.undoes }),
      ...(also.error
        ? { because: also.error.id, why: `${also.error.what}: ${also.error.why}` }
        : {}),
      ...(also.left && also.left.length > 0 ? { left: also.left } : {}),
    } as const;
    try {
      await recordEnd(probe, act, entry);
      return undefined;
    } catch (error) {
      say.line(
        `The run's end could not be recorded: ${asFailure(readable(error)).why}. The next run finishes it.`,
      );
      return outcome === "changed" ? "broken" : undefined;
    }
  }

  private fingerprint(): string {
    const { unit } = this;
    return fingerprintOf(
      unit.id,
      unit.fingerprint ? unit.fingerprint(this.facts) : (this.facts as Json),
    );
  }
  private digest(): Json {
    return this.unit.digest ? this.unit.digest(this.facts) : (this.facts as Json);
  }
  private took(): number {
    return Math.round(performance.now() - this.clock);
  }

  report(
    outcome: Outcome,
    also: { readonly error?: Failure; readonly left?: readonly string[] } = {},
  ): RunReport {
    const { unit, options } = this;
    const seen = this.facts !== null;
    const past =
      seen && unit.unasked ? { runs: pastRuns(this.context.probe, unit.id) } : { runs: [] };
    const log = this.log.broken;
    return {
      schema: 1,
      run: this.id,
      script: unit.id,
      host: options.host,
      outcome,
      at: new Date(this.startedAt).toISOString(),
      took_ms: this.took(),
      facts: seen ? this.digest() : null,
      findings: log === undefined ? this.findings : [...this.findings, brokenLog(log)],
      steps: this.shown,
      unasked: seen && unit.unasked ? unit.unasked(this.facts, past) : [],
      ...(seen && unit.picture ? { picture: unit.picture(this.facts, options.want) } : {}),
      ...(also.error ? { error: also.error } : {}),
      ...(also.left && also.left.length > 0 ? { left: also.left } : {}),
    };
  }
}

/** Time first, so that names sort by age; the script last, so that retention can tell whose it is. */
function runId(at: number, script: ScriptId): string {
  const time = new Date(at).toISOString().replaceAll(/[-:]/g, "").replace(".", "");
  return `${time}-${crypto.randomUUID().slice(0, 8)}-${script}`;
}

/** How a run ends that could not even begin. */
function blockedBy(error: unknown): Outcome {
  if (error instanceof Interrupted) return "interrupted";
  return error instanceof IntegrityError ? "corrupt" : "blocked";
}

function lockedFailure(script: ScriptId, { busy, age }: Busy): Failure {
  return {
    id: "locked",
    what: `${script} is running already`,
    why: `process ${busy.pid} (${busy.script}) has held its lock for ${Math.round(age / 1000)} s, since ${busy.since}`,
    fix: ["ps", "-fp", String(busy.pid)],
  };
}

function brokenLog(why: string): Finding {
  return {
    id: "log-unwritable",
    level: "warn",
    what: "the detail of this run could not be logged",
    why,
    evidence: "logs/memory",
    fix: ["./bin/00_check_structure", "--plan"],
  };
}
