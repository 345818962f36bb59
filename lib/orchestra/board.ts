/** Where each of the 21 scripts stands, from status files and journal alone: nothing is loaded, run or probed for it. */
import type { End, Entry } from "../keep/journal.ts";
import { isDone, type DamagedStatus, type Status } from "../keep/status.ts";
import { ROSTER, type RosterRow } from "../roster.ts";
import { WATCHER, type Kind } from "../services/kind.ts";
import { SHELTER_ID } from "./names.ts";
import { STAGES } from "./stages.ts";
import type { Json, Outcome, ScriptId } from "../unit.ts";

/** "open": never ran, or was taken back. "stale": it held once, and may not any more. "elsewhere": for the other kind
 * of host, and refused here. "absent": not part of this build. */
export type Standing = "done" | "open" | "failed" | "stale" | "elsewhere" | "absent";

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

/**
 * The board of one host.
 * @param statusOf reads the status file of a flag.
 * @param entries the host's journal, oldest first.
 * @param now milliseconds since 1970.
 * @param kind of the host; where it is not given, what a watcher's script found itself at its last run counts.
 */
export function boardOf(
  statusOf: (flag: string) => Status | DamagedStatus | undefined,
  entries: readonly Entry[],
  now: number,
  kind?: Kind,
): readonly BoardRow[] {
  const factsOf = (script: ScriptId): Json | undefined => {
    const status = statusOf(ROSTER.find((row) => row.id === script)?.flag ?? "");
    return status === undefined || "damaged" in status ? undefined : status.facts;
  };
  const measured = whatIsMeasured(factsOf);
  return ROSTER.map((row) => {
    const status = statusOf(row.flag);
    const other = forOtherKind(row.id, kind ?? kindFound(status));
    const standing = other ?? standingOf(row, status, entries, now);
    return row.id === "04_llm_benchmark" && standing.standing === "done" && measured !== undefined
      ? { ...standing, standing: "stale", why: measured, fix: [`./bin/${row.id}`] }
      : standing;
  });
}

function standingOf(
  row: RosterRow,
  status: Status | DamagedStatus | undefined,
  entries: readonly Entry[],
  now: number,
): BoardRow {
  const common = { script: row.id, summary: row.summary };
  const fix = [...(row.root ? ["sudo"] : []), `./bin/${row.id}`];
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
  const stale = whyStale(row, status, now);
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

function whyStale(row: RosterRow, status: Status, now: number): string | undefined {
  const at = Date.parse(status.at);
  if (at > now + CLOCK_SLACK) return "its time is in the future: the clock went back";
  if (row.staleAfter === undefined || now - at <= row.staleAfter) return undefined;
  return `it is older than ${days(row.staleAfter)}`;
}

/** What a benchmark measured is what is live and installed now; otherwise what differs. All three facts are the scripts' own digests. */
function whatIsMeasured(factsOf: (script: ScriptId) => Json | undefined): string | undefined {
  const [own, engine, models] = (
    ["04_llm_benchmark", "03_build_llama_cpp", "03_install_models"] as const
  ).map((script) => members(factsOf(script)));
  if (!own || !engine || !models) return undefined;
  const [build, live] = [own["build"], engine["live"]];
  if (typeof build === "string" && typeof live === "string" && build !== live) {
    return `it measured ${build}, and ${live} is live now`;
  }
  const known = namesIn(own["models"]);
  const missing = namesIn(models["models"]).find((name) => !known.includes(name));
  return missing === undefined ? undefined : `${missing} was installed since`;
}

function members(value: Json | undefined): { readonly [key: string]: Json } | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })
    : undefined;
}

function namesIn(value: Json | undefined): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one: Json) => {
    const name = members(one)?.["name"];
    return typeof name === "string" ? [name] : [];
  });
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

/** The row of a watcher's script that is not this host's: each kind of host has one, and the other's is refused. */
function forOtherKind(script: ScriptId, kind: Kind | undefined): BoardRow | undefined {
  const row = ROSTER.find((one) => one.id === script);
  const own = kind && WATCHER[kind];
  if (!row || !own || own === script || !Object.values(WATCHER).includes(script)) return undefined;
  const why = `this host's watcher is ${own}`;
  return { script, summary: row.summary, standing: "elsewhere", why };
}

/** The kind of host that a watcher's script found at its last run. */
function kindFound(status: Status | DamagedStatus | undefined): Kind | undefined {
  if (status === undefined || "damaged" in status) return undefined;
  const kind = members(status.facts)?.["kind"];
  return kind === "phantom" || kind === "shadow" ? kind : undefined;
}

/**
 * What to do next: the first script, in running order, that is part of this build and for this host, does not stand and is not being run. What `up` does
 * not run and nobody ever ran is the operator's choice, and nothing to be told.
 */
export function nextOf(
  board: readonly BoardRow[],
  running: readonly string[] = [],
): BoardRow | undefined {
  const chosen = (script: ScriptId) => STAGES.some((stage) => stage.script === script);
  return board.find(
    ({ script, standing }) =>
      standing !== "done" &&
      (standing !== "open" || chosen(script)) &&
      standing !== "absent" &&
      standing !== "elsewhere" &&
      script !== SHELTER_ID &&
      !running.includes(script),
  );
}
