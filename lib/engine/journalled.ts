/** Acts that are no unit's: a record in the journal around each, so that nothing changes this host without an entry. */
import { asFailure, EXIT, readable, ShelterError } from "../errors.ts";
import { appendEntry, openRuns, readJournal } from "../keep/journal.ts";
import { takeLock } from "../keep/lock.ts";
import type { CallContext, Json, Outcome, ScriptId } from "../unit.ts";
import { recordEnd } from "./record.ts";
import { runId } from "./run.ts";

/** What such an act is called, and the status file that tells of its last end. */
export interface Deed {
  readonly script: ScriptId;
  readonly flag: string;
  /** In words, e.g. "build the programs anew". */
  readonly what: string;
}

/** How the act went; `facts` go into the record. */
export interface Done {
  readonly outcome: Outcome;
  readonly facts: Json;
}

/**
 * Carries out `work` between a `begin` and an `end` of the journal, alone of its name. One that was cut off before is ended first. No undo takes it back:
 * what can be is the act's own affair. A failure is recorded and thrown on.
 * @throws ShelterError "locked" while another is at it.
 */
export async function journalled<T extends Done>(
  context: Pick<CallContext, "probe" | "act" | "say" | "signal">,
  { script, flag, what }: Deed,
  work: () => Promise<T>,
): Promise<T> {
  const { probe, act, signal } = context;
  const lock = await takeLock(probe, act, script, { script });
  if ("busy" in lock) {
    const { pid, since } = lock.busy;
    throw new ShelterError("locked", what, `process ${pid} is at it since ${since}`, [
      "ps",
      "-fp",
      String(pid),
    ]);
  }
  try {
    const common = { script, flag, fingerprint: "", log_sha256: "", steps: 0 };
    for (const cut of openRuns(readJournal(probe)).filter((one) => one.script === script)) {
      const end = { because: "cut-off", why: "it did not end by itself", took_ms: 0, facts: null };
      await recordEnd(context, { ...common, run: cut.run, outcome: "interrupted", ...end });
    }
    const run = runId(probe.now(), script);
    const clock = performance.now();
    const took = () => Math.round(performance.now() - clock);
    const steps = [{ do: "call", text: what, done: false }] as const;
    await appendEntry(probe, act, { kind: "begin", run, script, steps });
    try {
      const done = await work();
      await recordEnd(context, { ...common, run, ...kept(done), took_ms: took() });
      return done;
    } catch (error) {
      const failed = asFailure(readable(signal.aborted ? signal.reason : error));
      const outcome = signal.aborted ? "interrupted" : "blocked";
      const told = { because: failed.id, why: `${failed.what}: ${failed.why}`, facts: null };
      await recordEnd(context, { ...common, run, outcome, ...told, took_ms: took() });
      throw error;
    }
  } finally {
    await lock.release();
  }
}

function kept({ outcome, facts }: Done): Done {
  if (EXIT[outcome] !== 0) throw new Error(`an act that ends "${outcome}" has to throw`);
  return { outcome, facts };
}
