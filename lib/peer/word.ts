/** What a host says of itself to a paired one: where its scripts stand, what it holds, what its watcher knows. No secret is in it. */
import { readJournal } from "../keep/journal.ts";
import { readStatus } from "../keep/status.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { boardOf, type Standing } from "../orchestra/board.ts";
import { type Running, runningNow } from "../orchestra/running.ts";
import { type Release, RELEASE } from "../release.ts";
import type { HostName, ScriptId } from "../unit.ts";
import { kindIn } from "../services/kind.ts";
import { readWatch, type WatchState, withoutMemory } from "../watch/state.ts";
import { holdingsOf, type Holdings } from "./holdings.ts";

/** Where one script stands there. */
export interface ToldRow {
  readonly script: ScriptId;
  readonly standing: Standing;
  readonly why?: string;
  /** UTC, ISO 8601, of its last end. */
  readonly at?: string;
}

/** The document. */
export interface Word {
  readonly schema: 1;
  readonly host: HostName;
  /** Its clock as it answered, UTC, ISO 8601. */
  readonly at: string;
  readonly home: string;
  readonly release: Release;
  readonly scripts: readonly ToldRow[];
  readonly running: readonly Running[];
  readonly holds: Holdings;
  /** Its watcher's last state; null where it has no watcher. */
  readonly watch: WatchState | null;
}

/** This host's word. */
export async function collectWord(probe: Probe, act: Pick<Act, "real">): Promise<Word> {
  const kind = await kindIn(probe, probe.host);
  const board = boardOf((flag) => readStatus(probe, flag), readJournal(probe), probe.now(), kind);
  const watch = readWatch(probe);
  return {
    schema: 1,
    host: probe.host,
    at: new Date(probe.now()).toISOString(),
    home: probe.home,
    release: RELEASE,
    scripts: board.map(({ script, standing, why, at }) => ({
      script,
      standing,
      ...(why === undefined ? {} : { why: why.slice(0, 500) }),
      ...(at === undefined ? {} : { at }),
    })),
    running: runningNow(probe, act),
    holds: await holdingsOf(probe),
    watch: watch === undefined || "damaged" in watch ? null : withoutMemory(watch),
  };
}
