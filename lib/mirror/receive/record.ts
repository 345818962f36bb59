/** What a commit changed on this host, so that the peer's `--undo` can have it taken back. Written before anything is changed. */
import { join } from "node:path";
import type { Made } from "../../orchestra/made.ts";
import type { HostName } from "../../unit.ts";
import { GENERATION } from "../rsync_words.ts";
import { keptPlace } from "../places.ts";
import type { Change, State } from "../three_way.ts";
import { documentOf, parseChanges, WIRE } from "../wire.ts";
import type { Hands } from "./verify.ts";

/** The record of one generation. */
export interface CommitRecord {
  readonly schema: typeof WIRE;
  /** The generation that was live before. */
  readonly previous: string | null;
  readonly changes: readonly Change[];
  /** The note of what was agreed, as it was; null where there was none. */
  readonly agreed: string | null;
  /** The program that was live before, where the generation brought another, and the newest that this peer had brought until then. */
  readonly release: {
    readonly was: State;
    readonly now: State;
    readonly newest: Made | null;
  } | null;
  /** Links that were made for the peer. */
  readonly links: readonly string[];
  /** Folders of the home that had to be made, parents first. */
  readonly folders: readonly string[];
}

/** Where the version of a path is kept that a generation replaced. */
export function keptFile(home: string, from: HostName, generation: string, path: string): string {
  return join(keptPlace(home, from, generation), "files", path);
}

const place = (home: string, from: HostName, generation: string) =>
  join(keptPlace(home, from, generation), "record.json");

/** Writes the record of a generation. */
export function writeRecord(
  { probe, act }: Hands,
  from: HostName,
  generation: string,
  record: CommitRecord,
): void {
  act.makeFolder(keptPlace(probe.home, from, generation));
  act.write(place(probe.home, from, generation), `${JSON.stringify(record)}\n`);
}

/** The folders on the way to `paths` that are not there yet, parents first. */
export function missingFolders({ probe }: Hands, paths: readonly string[]): readonly string[] {
  const missing = new Set<string>();
  for (const path of paths) {
    for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
      const folder = path.slice(0, at);
      if (!missing.has(folder) && probe.stat(join(probe.home, folder)) === undefined)
        missing.add(folder);
    }
  }
  return [...missing];
}

/** Reads the record of a generation; undefined where there is none. A damaged one throws. */
export function readRecord(
  { probe }: Hands,
  from: HostName,
  generation: string,
): CommitRecord | undefined {
  const path = place(probe.home, from, generation);
  const text = probe.text(path);
  if (text === undefined) return undefined;
  const fields = documentOf(text, path) as Partial<CommitRecord>;
  const previous = fields.previous ?? null;
  return {
    schema: WIRE,
    previous: previous !== null && GENERATION.test(previous) ? previous : null,
    changes: parseChanges(fields.changes, path),
    agreed: fields.agreed ?? null,
    release: fields.release ?? null,
    links: fields.links ?? [],
    folders: fields.folders ?? [],
  };
}
