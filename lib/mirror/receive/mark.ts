/** The newest programs that a peer brought here: remembered, so that an older release of its, however well signed, never comes back by the peer's own doing. */
import { dirname, join } from "node:path";
import { inHome } from "../../keep/home.ts";
import type { Probe } from "../../machine/probe.ts";
import { type Made, madeOf, newerOf, parseMade, sayMade, isOlder } from "../../orchestra/made.ts";
import { SHELTER } from "../../orchestra/names.ts";
import type { HostName } from "../../unit.ts";
import { releaseKey } from "../held.ts";
import type { State } from "../three_way.ts";
import type { Hands } from "./verify.ts";

/** What is remembered of one peer's programs. */
export interface Mark {
  readonly newest?: Made;
  /** Hash of programs that this host's operator allowed although they are older, until they are live. */
  readonly allowed: State;
  /** The note is there and can't be read: then nothing of that peer's goes live unless the operator allows it anew. */
  readonly damaged: boolean;
}

/** Where the note stands: out of reach of the peer's rsync. */
export function markPlace(home: string, host: HostName, peer: HostName): string {
  return inHome.mirror(home, host, `${peer}.programs.json`);
}

/** Reads the note of one peer's programs. None: nothing that said its age ever came. */
export function readMark(probe: Probe, peer: HostName): Mark {
  const text = probe.text(markPlace(probe.home, probe.host, peer));
  if (text === undefined) return { allowed: null, damaged: false };
  try {
    const { schema, newest, allowed } = JSON.parse(text) as Partial<Record<string, unknown>>;
    const made = parseMade(newest);
    if (schema !== 1 || (newest !== null && !made)) return { allowed: null, damaged: true };
    const hash = typeof allowed === "string" && /^[0-9a-f]{64}$/.test(allowed) ? allowed : null;
    return { ...(made ? { newest: made } : {}), allowed: hash, damaged: false };
  } catch {
    return { allowed: null, damaged: true };
  }
}

/** The note as text. */
export function markText(newest: Made | undefined, allowed: State): string {
  return `${JSON.stringify({ schema: 1, newest: newest ?? null, allowed })}\n`;
}

/** Notes the newest programs of a peer; an allowance is used up by it. Nothing newest: no note, as before any came. */
export function setMark({ probe, act }: Hands, peer: HostName, newest: Made | undefined): void {
  const path = markPlace(probe.home, probe.host, peer);
  if (!newest) {
    act.remove(path);
    return;
  }
  act.makeFolder(dirname(path));
  act.write(path, markText(newest, null));
}

/** What a peer's programs must not be older than: the newest that it brought, and what is live. */
export function newestFor(probe: Probe, mark: Mark): Made | undefined {
  return newerOf(mark.newest, madeOf(probe, join(probe.home, "bin", SHELTER)));
}

/** Why programs of a peer may not go live here for their age; undefined where they may. */
export function refusedForAge(
  probe: Probe,
  peer: HostName,
  sha256: string,
  made: Made | undefined,
): string | undefined {
  const mark = readMark(probe, peer);
  if (mark.allowed === sha256) return undefined;
  const newest = newestFor(probe, mark);
  const allow = `on ${probe.host}: ./bin/05_rsync_mirror --take theirs ${releaseKey(probe.host)}`;
  if (mark.damaged) {
    return `the note of how new ${peer}'s programs were is damaged on ${probe.host}; to take these, ${allow}`;
  }
  if (!isOlder(made, newest)) return undefined;
  return `they are older (${sayMade(made)}) than what ${probe.host} has had (${sayMade(newest)}); to take them all the same, ${allow}`;
}
