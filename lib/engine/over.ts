/** Runs that look cut off and are not: they ended, and only the journal's line of it can't be read any more. */
import { appendEntry, type Begin, END_UNREADABLE, type Entry } from "../keep/journal.ts";
import { journalDamage } from "../keep/journal_damage.ts";
import { hasNotedItsEnd, readManifest } from "../keep/snapshot.ts";
import { readStatus, type Status } from "../keep/status.ts";
import type { Probe } from "../machine/probe.ts";
import { leavesNothing } from "../steps/take_back.ts";
import type { AnyUnit, CallContext, Finding, Outcome } from "../unit.ts";

/**
 * How a run ended that has no `end`; undefined where it really was cut off. That it ended is known where the script began once more after it (each run
 * first finishes what was cut off), where the status tells of a later end, or where the journal is damaged after its begin and its snapshot holds the
 * note that a run makes last.
 */
export function endOf(
  probe: Probe,
  unit: AnyUnit,
  begin: Begin,
  journal: readonly Entry[],
): Outcome | undefined {
  const after = journal.some(
    (one) => one.kind === "begin" && one.script === begin.script && one.index > begin.index,
  );
  const told = statusSince(probe, unit, begin);
  const noted = hasNotedItsEnd(probe, begin.run);
  const damaged = () => journalDamage(probe).some((one) => one.after >= begin.index);
  if (!after && told === undefined && !(noted && damaged())) return undefined;
  if (begin.undoes !== undefined) return isTakenBack(probe, begin.undoes) ? "changed" : "broken";
  if (!after && told !== undefined && told.outcome !== "absent") return told.outcome;
  return noted ? "changed" : "interrupted";
}

/** Records that end. The run stands as it did; status and history knew of it all the time. */
export async function recordLostEnd(
  { probe, act, say }: CallContext,
  unit: AnyUnit,
  begin: Begin,
  outcome: Outcome,
): Promise<Finding> {
  const what = `${begin.script} ended (${begin.run}), but the journal's line of that can't be read`;
  say.line(`${what}: it is not taken back`);
  const steps = hasNotedItsEnd(probe, begin.run)
    ? (readManifest(probe, begin.run)?.rounds ?? []).flatMap((round) => round.steps)
    : [];
  await appendEntry(probe, act, {
    kind: "end",
    run: begin.run,
    script: begin.script,
    outcome,
    took_ms: 0,
    steps: begin.undoes === undefined ? steps.filter((step) => !leavesNothing(step)).length : 0,
    ...(begin.undoes === undefined ? {} : { undoes: begin.undoes }),
    because: END_UNREADABLE,
    why: "the journal's own line of this end can't be read",
    log_sha256: "",
    flag: unit.flag,
    fingerprint: "",
    facts: null,
  });
  return {
    id: `end-unreadable-${begin.run}`,
    level: "warn",
    what,
    why: `the journal is damaged; ${outcome === "changed" ? "what that run did stands, and --undo takes it back" : `it ended as ${outcome}`}`,
    evidence: "logs/journal",
    fix: ["./bin/00_check_structure", "--plan"],
  };
}

/** The status of the script, where it is of an end after this begin. */
function statusSince(probe: Probe, { flag }: AnyUnit, begin: Begin): Status | undefined {
  const status = readStatus(probe, flag);
  if (status === undefined || "damaged" in status) return undefined;
  const later = status.journal.index > begin.index && status.at >= begin.at;
  return later ? status : undefined;
}

function isTakenBack(probe: Probe, run: string): boolean {
  try {
    return readManifest(probe, run) === undefined;
  } catch {
    return false;
  }
}
