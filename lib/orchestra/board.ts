/** Where each of the 21 scripts stands, from status files and journal alone: nothing is loaded, run or probed for it. */
import type { End, Entry } from "../keep/journal.ts";
import { isDone, type DamagedStatus, type Status } from "../keep/status.ts";
import { ROSTER, type RosterRow } from "../roster.ts";
import type { Outcome, ScriptId } from "../unit.ts";

/** "open": never ran, or was taken back. "stale": it held once, and may not any more. "absent": not part of this build. */
export type Standing = "done" | "open" | "failed" | "stale" | "absent";

/** One script at a glance. */
export interface BoardRow {
  readonly script: ScriptId;
  readonly summary: string;
  readonly standing: Standing;
  /** Why it stands so, where that is not plain. */
  readonly why?: string;
  readonly outcome?: Outcome;
  /** UTC, ISO 8601, of its last end. */
  readonly at?: string;
  readonly took_ms?: number;
  /** The next command for it; none where there is nothing to do. */
  readonly fix?: readonly string[];
}

/** Scripts whose result is no longer proven once one of these has changed something. */
const RESTS_ON: Readonly<Partial<Record<ScriptId, readonly ScriptId[]>>> = {
  "04_llm_benchmark": ["03_build_llama_cpp", "03_install_models"],
};

/**
 * The board of one host.
 * @param statusOf reads the status file of a flag.
 * @param entries the host's journal, oldest first.
 * @param now milliseconds since 1970.
 */
export function boardOf(
  statusOf: (flag: string) => Status | DamagedStatus | undefined,
  entries: readonly Entry[],
  now: number,
): readonly BoardRow[] {
  return ROSTER.map((row) => standingOf(row, statusOf(row.flag), entries, now));
}

function standingOf(
  row: RosterRow,
  status: Status | DamagedStatus | undefined,
  entries: readonly Entry[],
  now: number,
): BoardRow {
  const common = { script: row.id, summary: row.summary };
  const fix = [`./bin/${row.id}`];
  if (!row.built) return { ...common, standing: "absent" };
  if (status === undefined) return { ...common, standing: "open", fix };
  if ("damaged" in status) {
    const why = `its status file is damaged: ${status.damaged}`;
    return { ...common, standing: "failed", why, fix: ["./bin/00_check_structure"] };
  }
  const last = { ...common, outcome: status.outcome, at: status.at, took_ms: status.took_ms };
  if (wasTakenBack(row.id, entries)) {
    return { ...last, standing: "open", why: "it was taken back", fix };
  }
  if (!isDone(status)) {
    const because = lastEndOf(row.id, entries)?.why;
    return { ...last, standing: "failed", ...(because === undefined ? {} : { why: because }), fix };
  }
  const stale = whyStale(row, status, entries, now);
  return stale === undefined
    ? { ...last, standing: "done" }
    : { ...last, standing: "stale", why: stale, fix };
}

/** True when the script's last ended run was one that took an earlier one back. */
function wasTakenBack(script: ScriptId, entries: readonly Entry[]): boolean {
  const last = lastEndOf(script, entries);
  return (
    last?.outcome === "changed" &&
    entries.some((one) => one.kind === "begin" && one.run === last.run && one.undoes !== undefined)
  );
}

function whyStale(
  row: RosterRow,
  status: Status,
  entries: readonly Entry[],
  now: number,
): string | undefined {
  const at = Date.parse(status.at);
  if (at > now + CLOCK_SLACK) return "its time is in the future: the clock went back";
  if (row.staleAfter !== undefined && now - at > row.staleAfter) {
    return `it is older than ${days(row.staleAfter)}`;
  }
  const moved = (RESTS_ON[row.id] ?? []).find((base) =>
    entries.some(
      (one) =>
        one.kind === "end" &&
        one.script === base &&
        one.outcome === "changed" &&
        Date.parse(one.at) > at,
    ),
  );
  return moved === undefined ? undefined : `${moved} changed something since`;
}

/** Clocks of two runs may differ by this much without anybody having set them back. Milliseconds. */
const CLOCK_SLACK = 60_000;

function days(ms: number): string {
  const count = Math.round(ms / 86_400_000);
  return count === 1 ? "a day" : `${count} days`;
}

function lastEndOf(script: ScriptId, entries: readonly Entry[]): End | undefined {
  return entries.findLast((one): one is End => one.kind === "end" && one.script === script);
}

/** What to do next: the first script, in running order, that is part of this build and does not stand. */
export function nextOf(board: readonly BoardRow[]): BoardRow | undefined {
  return board.find(
    ({ script, standing }) =>
      standing !== "done" && standing !== "absent" && script !== "08_shelter_cli",
  );
}
