/** The last outcome of each script: a view of the journal, rebuilt from it at will. */
import type { Act } from "../machine/act.ts";
import { sha256 } from "../machine/hash.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName, Json, Outcome, ScriptId } from "../unit.ts";
import { freeName } from "./aside.ts";
import { inHome } from "./home.ts";
import { canonical, END_UNREADABLE, readJournal, type End, type Entry } from "./journal.ts";

/** status/<host>/<flag>.json */
export interface Status {
  readonly schema: 1;
  readonly flag: string;
  readonly script: ScriptId;
  readonly host: HostName;
  readonly outcome: Outcome;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly took_ms: number;
  /** SHA-256 over script version and the facts that matter. */
  readonly fingerprint: string;
  readonly facts: Json;
  readonly journal: { readonly index: number };
}

/** A status file that is there but can't be read as one. */
export interface DamagedStatus {
  readonly damaged: string;
}

/** The status of a flag; undefined where the script never ran; `damaged` says what is wrong with the file. */
export function readStatus(
  probe: Probe,
  flag: string,
  host: HostName = probe.host,
): Status | DamagedStatus | undefined {
  const text = probe.text(inHome.status(probe.home, host, flag));
  if (text === undefined) return undefined;
  try {
    const status = JSON.parse(text) as Status;
    if (status.schema !== 1) return { damaged: `its schema is ${String(status.schema)}, not 1` };
    if (typeof status.outcome !== "string" || Number.isNaN(Date.parse(status.at))) {
      return { damaged: "outcome or time is missing" };
    }
    return status;
  } catch (error) {
    return { damaged: error instanceof Error ? error.message : String(error) };
  }
}

/** True where the script last ended well. */
export function isDone(status: Status | DamagedStatus | undefined): status is Status {
  return (
    status !== undefined &&
    !("damaged" in status) &&
    (status.outcome === "converged" || status.outcome === "changed")
  );
}

/** Writes the view of one `end` entry. A damaged file in its place is moved aside, never lost; tells where to. */
export function writeStatus(probe: Probe, act: Act, end: End): string | undefined {
  act.makeFolder(inHome.status(probe.home, probe.host));
  const aside = setAside(probe, act, end.flag);
  act.write(inHome.status(probe.home, probe.host, end.flag), statusText(probe.host, end));
  return aside;
}

/** Moves the status file of a flag aside if it is damaged; tells where to. */
export function setAside(probe: Probe, act: Act, flag: string): string | undefined {
  const status = readStatus(probe, flag);
  if (status === undefined || !("damaged" in status)) return undefined;
  const path = inHome.status(probe.home, probe.host, flag);
  const aside = freeName(probe, path, "damaged");
  act.rename(path, aside);
  act.chmod(aside, 0o600);
  return aside;
}

/** The status file that follows from one `end` entry. */
export function statusText(host: HostName, end: End): string {
  const status: Status = {
    schema: 1,
    flag: end.flag,
    script: end.script,
    host,
    outcome: end.undoes === undefined ? end.outcome : "absent", // taken back: its work is open again
    at: end.at,
    took_ms: end.took_ms,
    fingerprint: end.fingerprint,
    facts: end.facts,
    journal: { index: end.index },
  };
  return `${JSON.stringify(status, null, 2)}\n`;
}

/** The last `end` of a flag in the journal, for rebuilding its status. */
export function lastEnd(probe: Probe, flag: string): End | undefined {
  return readJournal(probe).findLast((one): one is End => isLastWord(one) && one.flag === flag);
}

/** Whether a status follows from this entry: not from an end that was recorded afterwards, which knows less than the status itself. */
export function isLastWord(entry: Entry): entry is End {
  return entry.kind === "end" && entry.because !== END_UNREADABLE;
}

/** Fingerprint of the facts that matter to a script. */
export function fingerprintOf(script: ScriptId, facts: Json): string {
  return sha256(canonical([script, facts]));
}
