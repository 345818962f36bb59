/**
 * The record that status and history are derived from: begin, end and digests of every acting run, one canonical JSON line each, append-only,
 * with an index without gaps. A `begin` is on disk before the first act of its run.
 */
import { basename, join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName, Json, Outcome, PastRun, ScriptId, ShownStep } from "../unit.ts";
import { inHome } from "./home.ts";
import { takeLock } from "./lock.ts";

/** What every entry has. */
interface Common {
  readonly schema: 1;
  readonly index: number;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly run: string;
  readonly script: ScriptId;
}
/** A run is about to act. */
export interface Begin extends Common {
  readonly kind: "begin";
  readonly steps: readonly ShownStep[];
  /** The run that this one takes back. */
  readonly undoes?: string;
  /** Older runs that are taken back with it. */
  readonly includes?: readonly string[];
}
/** A later round of the same run is about to act. */
export interface Round extends Common {
  readonly kind: "round";
  readonly round: number;
  readonly steps: readonly ShownStep[];
}
/** A run is over. */
export interface End extends Common {
  readonly kind: "end";
  readonly outcome: Outcome;
  readonly took_ms: number;
  /** How many steps were carried out and stand. */
  readonly steps: number;
  /** The run that this one took back. */
  readonly undoes?: string;
  /** Older runs that it took back with that one. */
  readonly includes?: readonly string[];
  readonly because?: string;
  readonly why?: string;
  readonly left?: readonly string[];
  /** SHA-256 of the run's lines in logs/memory. */
  readonly log_sha256: string;
  readonly flag: string;
  readonly fingerprint: string;
  readonly facts: Json;
}
export type Entry = Begin | Round | End;
/** An entry before it has its place. */
export type NewEntry =
  | Omit<Begin, "schema" | "index" | "at">
  | Omit<Round, "schema" | "index" | "at">
  | Omit<End, "schema" | "index" | "at">;

/** Entries per file: a file is named by the index of its first entry. */
const PER_FILE = 1000;
/** Bytes after which a file is full too: well below what is read of one. */
const FULL = 16 * 1024 * 1024;

/** JSON with sorted keys and no spaces, so that one entry has one form (RFC 8785 without its number rules: numbers here are integers). */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((one: Json) => canonical(one)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const pairs = Object.entries(value as { readonly [key: string]: Json | undefined })
      .filter((pair): pair is [string, Json] => pair[1] !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${pairs.map(([key, one]) => `${JSON.stringify(key)}:${canonical(one)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Why an `end` stands in the journal that is not the run's own: that one can't be read any more. */
export const END_UNREADABLE = "end-unreadable";

/** All entries of a host, oldest first. A torn line (power cut, kill) is skipped: it was never acknowledged. Damaged ones: see journal_damage.ts. @throws ShelterError "journal-unreadable" */
export function readJournal(probe: Probe, host: HostName = probe.host): readonly Entry[] {
  return journalFiles(probe, host).flatMap((path) => parseEntries(textOf(probe, path)));
}

/** Appends one entry and flushes it; returns the index and time that it was given. */
export async function appendEntry(
  probe: Probe,
  act: Act,
  entry: NewEntry,
): Promise<Pick<Entry, "index" | "at">> {
  const lock = await takeLock(probe, act, "journal", { script: entry.script, wait: 30_000 });
  if ("busy" in lock) {
    throw new ShelterError(
      "journal-busy",
      "writing the journal",
      `process ${lock.busy.pid} (${lock.busy.script}) has held it for ${Math.round(lock.age / 1000)} s`,
    );
  }
  try {
    const folder = inHome.journal(probe.home, probe.host);
    act.makeFolder(folder);
    const last = journalFiles(probe, probe.host).at(-1);
    const text = last === undefined ? "" : textOf(probe, last);
    const entries = parseEntries(text);
    // a file whose only line was torn still tells by its name where it begins
    const first = last === undefined ? 0 : Number.parseInt(basename(last), 10);
    const index = (entries.at(-1)?.index ?? first - 1) + damagedAtEnd(text) + 1;
    const path =
      last !== undefined && entries.length < PER_FILE && (probe.stat(last)?.size ?? 0) < FULL
        ? last
        : join(folder, `${String(index).padStart(8, "0")}.jsonl`);
    const at = new Date(probe.now()).toISOString();
    act.appendLine(path, canonical({ ...entry, schema: 1, index, at } as unknown as Json));
    return { index, at };
  } finally {
    await lock.release();
  }
}

/** Runs that began and neither ended nor were finished by a later recovery, newest first. */
export function openRuns(entries: readonly Entry[]): readonly Begin[] {
  const ended = new Set(entries.filter((one) => one.kind === "end").map((one) => one.run));
  return entries
    .filter((one): one is Begin => one.kind === "begin" && !ended.has(one.run))
    .reverse();
}

/** Runs whose effects stand: they ended with steps in place and were not taken back. Newest first. */
export function standingRuns(entries: readonly Entry[], script?: ScriptId): readonly End[] {
  const taken = new Set<string>();
  // an end that could not be acknowledged (a disk that filled at its last byte) is followed by the one that counts
  const counts = new Map(entries.flatMap((one) => (one.kind === "end" ? [[one.run, one]] : [])));
  for (const one of entries) {
    if (one.kind !== "begin" || one.undoes === undefined) continue;
    if (counts.get(one.run)?.outcome === "changed") {
      for (const run of [one.undoes, one.run, ...(one.includes ?? [])]) taken.add(run);
    }
  }
  for (const { undoes, outcome, includes = [] } of counts.values()) {
    if (undoes === undefined || !TOOK_BACK.has(outcome)) continue;
    for (const run of [undoes, ...includes]) taken.add(run);
  }
  const begun = new Map(entries.flatMap((one) => (one.kind === "begin" ? [[one.run, one]] : [])));
  // an end that was recorded afterwards does not make its run a young one
  const ageOf = (one: End) =>
    (one.because === END_UNREADABLE ? begun.get(one.run)?.index : undefined) ?? one.index;
  return entries
    .filter(
      (one): one is End =>
        one.kind === "end" &&
        counts.get(one.run) === one &&
        one.steps > 0 &&
        one.undoes === undefined && // an undo that ended early leaves its run standing, and is none itself
        !taken.has(one.run) &&
        !UNDONE.has(one.outcome) &&
        (script === undefined || one.script === script),
    )
    .sort((a, b) => ageOf(b) - ageOf(a));
}
const TOOK_BACK: ReadonlySet<Outcome> = new Set(["changed", "converged"]);
const UNDONE: ReadonlySet<Outcome> = new Set(["rolled-back", "interrupted"]);

/** Earlier runs, newest first. */
export function pastRuns(probe: Probe, script?: ScriptId): readonly PastRun[] {
  return readJournal(probe)
    .filter((one): one is End => one.kind === "end")
    .filter((one) => script === undefined || one.script === script)
    .map(({ run, script: id, at, outcome, took_ms, because }) => ({
      run,
      script: id,
      at,
      outcome,
      took_ms,
      ...(because === undefined ? {} : { because }),
    }))
    .reverse();
}

/** The journal's files, oldest first. */
export function journalFiles(probe: Probe, host: HostName): readonly string[] {
  const folder = inHome.journal(probe.home, host);
  return probe
    .list(folder)
    .filter((name) => /^\d{8}\.jsonl$/.test(name))
    .map((name) => join(folder, name));
}

/** A run's name is a folder's too (its snapshot), so it leads nowhere else. */
const RUN = /^\w[\w-]*$/;

/** A journal that can't be read must not look like an empty one: what stands would be taken for nothing. */
export function textOf(probe: Probe, path: string): string {
  const reading = probe.read(path);
  if (reading.state === "ok") return reading.text;
  const why = reading.state === "error" ? reading.why : reading.state;
  throw new ShelterError("journal-unreadable", `reading ${path}`, why, ["ls", "-lan", path]);
}

function parseEntries(text: string): readonly Entry[] {
  return text.split("\n").flatMap((line) => parseEntry(line) ?? []);
}

/** One line of the journal; undefined where it is none. */
export function parseEntry(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Entry;
    if (!Number.isInteger(entry.index) || typeof entry.run !== "string") return undefined;
    const whole = entry.kind === "end" ? typeof entry.outcome === "string" : BEGUN.has(entry.kind);
    return whole && RUN.test(entry.run) ? entry : undefined;
  } catch {
    return undefined; // torn or damaged
  }
}
const BEGUN: ReadonlySet<string> = new Set(["begin", "round"]);

/** Whole lines at the end that are no entries: each was acknowledged and keeps its index, so that the gap tells of it. */
function damagedAtEnd(text: string): number {
  const lines = text.split("\n").slice(0, -1);
  return lines.length - 1 - lines.findLastIndex((line) => parseEntry(line) !== undefined);
}
