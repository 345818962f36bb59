/** One run of one unit: its name, its voice, what it has seen and done so far, and how its end is told. */
import { asFailure, readable } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { pastRuns } from "../keep/journal.ts";
import { openMemoryLog } from "../keep/memory_log.ts";
import { fingerprintOf, isDone, readStatus } from "../keep/status.ts";
import { createAct } from "../machine/act.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe, type Probe } from "../machine/probe.ts";
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
} from "../unit.ts";
import { recordEnd } from "./record.ts";

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

/** What an ending may add to a report. */
export interface Ending {
  readonly error?: Failure;
  /** What could not be brought back. */
  readonly left?: readonly string[];
  /** The run that this one took back. */
  readonly undoes?: string;
  /** Older runs that it took back with that one. */
  readonly includes?: readonly string[];
}

/** A run in progress. */
export class Run {
  readonly id: string;
  readonly context: CallContext;
  /** Steps as the report will show them. */
  readonly shown: ShownStep[] = [];
  findings: readonly Finding[] = [];
  /** What the person has to know of earlier runs that were cut off. */
  recovered: readonly Finding[] = [];
  private facts: unknown = null;
  private readonly startedAt: number;
  private readonly clock = performance.now();
  private readonly log;
  /** For looking before acting, which a signal ends at once; `context.probe` also serves the taking back, which none may cut short. */
  private readonly eyes: Probe;

  constructor(
    readonly unit: AnyUnit,
    readonly options: RunOptions,
  ) {
    const probe = createProbe(options.machine, options.home, options.host);
    const act = createAct(options.machine, probe);
    this.eyes = createProbe(options.machine, options.home, options.host, options.signal);
    this.startedAt = probe.now();
    this.id = runId(this.startedAt, unit.id);
    this.log = openMemoryLog(probe, act, unit.id, this.id);
    const { say, signal, mode } = options;
    const keep = (record: { readonly [key: string]: Json }) => {
      if (mode === "apply" || mode === "undo") this.log.write(record);
    };
    this.context = {
      probe,
      act,
      signal,
      say: {
        ...say,
        line: (text) => {
          say.line(text);
          keep({ line: text });
        },
        detail: (record) => {
          say.detail(record);
          keep(record);
        },
      },
    };
  }

  /** The same context for taking back, which a signal must not cut short: half an undo is the state that nobody wants. */
  get calm(): CallContext {
    return { ...this.context, signal: new AbortController().signal };
  }

  /** Where this run's snapshot stands. */
  get snapshot(): string {
    return inHome.snapshots(this.options.home, this.id);
  }

  /** Reads, judges and plans, all three anew. @throws the signal's reason once it fired: what a look saw that was cut short proves nothing. */
  async see(): Promise<readonly Step[]> {
    this.options.signal.throwIfAborted();
    const facts: unknown = await this.unit.observe(this.eyes, this.options.want);
    this.options.signal.throwIfAborted();
    return this.judge(facts);
  }

  /** Reads once more after an undo, which is over whatever comes of it. */
  async seeAfter(): Promise<void> {
    try {
      this.judge(await this.unit.observe(this.context.probe, this.options.want));
    } catch (error) {
      const { what, why } = asFailure(readable(error));
      this.context.say.line(`Taken back, but looking at the host again failed: ${what}: ${why}`);
    }
  }

  private judge(facts: unknown): readonly Step[] {
    const { unit, options } = this;
    this.facts = facts;
    this.findings = unit.diagnose(this.facts, options.want);
    return unit.plan(this.facts, options.want);
  }

  /** What a run that ended well took back by it; itself where it acted and no run is known, because it leaves nothing that stands. */
  takesBack(acted: boolean): Pick<Ending, "undoes" | "includes"> {
    if (!this.unit.undoes || this.facts === null) return {};
    const [undoes = acted ? this.id : undefined, ...includes] = this.unit.undoes(this.facts);
    return undoes === undefined ? {} : { undoes, includes };
  }

  /** A run that found nothing to do is recorded only where it tells something that the status does not say already. */
  isNews(outcome: Outcome): boolean {
    const { probe } = this.context;
    const status = readStatus(probe, this.unit.flag);
    if (outcome !== "converged" || !isDone(status)) return true;
    if (status.fingerprint !== this.fingerprint()) return true;
    const age = probe.now() - Date.parse(status.at);
    return age < 0 || (this.unit.staleAfter !== undefined && age > this.unit.staleAfter / 2);
  }

  /** Records the end in journal, history and status. Returns why that failed, where it did: the next run then finishes this one. */
  async end(outcome: Outcome, steps: number, ending: Ending): Promise<Failure | undefined> {
    const { error, left, undoes, includes = [] } = ending;
    try {
      await recordEnd(this.context, {
        run: this.id,
        script: this.unit.id,
        outcome,
        took_ms: this.took(),
        steps,
        log_sha256: this.log.digest(),
        flag: this.unit.flag,
        fingerprint: this.fingerprint(),
        facts: this.digest(),
        ...(undoes === undefined ? {} : { undoes }),
        ...(includes.length > 0 ? { includes } : {}),
        ...(error ? { because: error.id, why: `${error.what}: ${error.why}` } : {}),
        ...(left && left.length > 0 ? { left } : {}),
      });
      return undefined;
    } catch (thrown) {
      const { why, fix } = asFailure(readable(thrown));
      this.context.say.line(
        `The run's end could not be recorded: ${why}. The next run finishes it.`,
      );
      const what = `recording the end of ${this.unit.id}`;
      return { id: "end-unrecorded", what, why, ...(fix ? { fix } : {}) };
    }
  }

  report(outcome: Outcome, { error, left, undoes }: Ending = {}): RunReport {
    const { unit, options, log } = this;
    const seen = this.facts !== null;
    const unasked = seen ? unit.unasked : undefined;
    const history = { runs: unasked ? pastRuns(this.context.probe, unit.id) : [] };
    return {
      schema: 1,
      run: this.id,
      script: unit.id,
      host: options.host,
      outcome,
      at: new Date(this.startedAt).toISOString(),
      took_ms: this.took(),
      facts: this.digest(),
      findings: [
        ...this.recovered,
        ...this.findings,
        ...(log.broken === undefined ? [] : [brokenLog(log.broken)]),
      ],
      steps: this.shown,
      unasked: unasked?.(this.facts, history) ?? [],
      ...(seen && unit.picture ? { picture: unit.picture(this.facts, options.want) } : {}),
      ...(error ? { error } : {}),
      ...(left && left.length > 0 ? { left } : {}),
      ...(undoes === undefined ? {} : { undoes }),
    };
  }

  private fingerprint(): string {
    const { unit, facts } = this;
    const whole = facts === null || !unit.fingerprint;
    return fingerprintOf(unit.id, whole ? (facts as Json) : unit.fingerprint(facts));
  }

  private digest(): Json {
    const { unit, facts } = this;
    return facts === null || !unit.digest ? (facts as Json) : unit.digest(facts);
  }

  private took(): number {
    return Math.round(performance.now() - this.clock);
  }
}

/** A run's name: time first, so that names sort by age; the script last, so that a person sees whose it is. */
export function runId(at: number, script: ScriptId): string {
  const time = new Date(at).toISOString().replaceAll(/[-:]/g, "").replace(".", "");
  return `${time}-${crypto.randomUUID().slice(0, 8)}-${script}`;
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
