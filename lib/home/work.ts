/** What of runtime/work nobody has touched for so long that it may go. Pure. */
import type { Entry } from "../machine/probe.ts";
import type { Leftover } from "./structure_facts.ts";

const DAY = 24 * 60 * 60 * 1000;

/** Folders of runtime/work whose entries age one by one; everything else ages as a whole, because a build tree without its old half is no build tree. */
const COLLECTIONS = new Set(["fetch", "server"]);

/**
 * Groups `entries` (all below `folder`) into what goes or stays together, and tells which of it is older than `maxAgeDays`. A thing is as old as the
 * youngest entry in it.
 */
export function oldWork(
  entries: readonly Entry[],
  now: number,
  maxAgeDays: number,
  folder: string,
): { readonly bytes: number; readonly old: readonly Leftover[] } {
  const things = new Map<string, { kind: Entry["kind"]; newest: number; bytes: number }>();
  let bytes = 0;
  for (const entry of entries) {
    const parts = entry.path.slice(folder.length + 1).split("/");
    const [top = ""] = parts;
    const collected = COLLECTIONS.has(top);
    const size = entry.kind === "file" ? entry.size : 0;
    bytes += size;
    if (collected && parts.length === 1) continue; // the collection's own folder stays
    const path = `${folder}/${parts.slice(0, collected ? 2 : 1).join("/")}`;
    const thing = things.get(path);
    if (thing === undefined)
      things.set(path, { kind: entry.kind, newest: entry.mtime, bytes: size });
    else {
      thing.newest = Math.max(thing.newest, entry.mtime);
      thing.bytes += size;
    }
  }
  const old = [...things]
    .filter(([, { newest }]) => now - newest > maxAgeDays * DAY)
    .map(([path, { kind, newest, bytes: size }]) => ({
      path,
      kind,
      ageMs: now - newest,
      bytes: size,
    }));
  return { bytes, old };
}
