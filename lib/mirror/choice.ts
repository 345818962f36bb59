/** Whether what `--take` names is anything that two hosts can differ in: a path that was mistyped must not pass for one that is settled. */
import { join } from "node:path";
import { openRuns, readJournal } from "../keep/journal.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import { modelKey, releaseKey } from "./held.ts";
import { isMirrored, isWithin, MIRROR } from "./places.ts";
import type { States } from "./three_way.ts";

/** What is known of paths between this host and one peer. */
export interface KnownPaths {
  /** Shared things as they are here and there, and as both wrote them down. */
  readonly states: readonly States[];
  /** Hashes of the models of both. */
  readonly models: readonly string[];
}

/** True where `path` stands on this host or on `peer`, or did when they agreed last. */
export function isKnownPath(
  probe: Pick<Probe, "home" | "host" | "stat">,
  peer: HostName,
  path: string,
  { states, models }: KnownPaths,
): boolean {
  const { home, host } = probe;
  const keys = [
    ...states.flatMap((one) => Object.keys(one)),
    ...models.map((sha256) => modelKey(sha256)),
    ...[peer, host].map((one) => releaseKey(one)),
  ];
  if (keys.some((key) => isWithin(key, path))) return true;
  return isMirrored(path, host, peer) && probe.stat(join(home, path)) !== undefined;
}

/** True while a mirror run is under way: what was chosen may be settled by it already, and then nothing is left to be seen of it. */
export function isUnderWay(probe: Probe): boolean {
  return openRuns(readJournal(probe)).some(({ script }) => script === MIRROR);
}
