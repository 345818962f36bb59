/** What a home holds of what is mirrored: files, links, and what is refused, each with the reason. Reads only. */
import { join } from "node:path";
import { TEMPORARY_PREFIX } from "../machine/durable.ts";
import type { Entry, Probe } from "../machine/probe.ts";
import { grows, MANIFEST, staysInside } from "./places.ts";
import { PARTIAL_FOLDER } from "./rsync_words.ts";

type Eyes = Pick<Probe, "home" | "list" | "unlistable" | "read" | "stat">;

/** A file as it stands. `key` is another one as soon as the file changes. */
export interface FoundFile {
  /** Relative to the home. */
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
  readonly key: string;
  readonly grows: boolean;
}

/** Something that is not mirrored, and why. */
export interface RefusedEntry {
  readonly path: string;
  readonly why: string;
}

/** What was found below some tops. */
export interface Scan {
  readonly files: readonly FoundFile[];
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly refused: readonly RefusedEntry[];
}

/** Two equal keys: the same bytes. The time of change (ctime) can't be set by a program, so what keeps it was not written to. */
export function keyOf({ device, inode, size, mtime, ctime }: Entry): string {
  return `${device}:${inode}:${size}:${mtime}:${ctime}`;
}

/** Looks below `tops` (relative to the home). `links` tells whether symbolic links are carried; elsewhere they are refused. */
export function scan(probe: Eyes, tops: readonly string[], links: boolean): Scan {
  const found = { files: [] as FoundFile[], links: [] as Scan["links"][number][] };
  const refused: RefusedEntry[] = [];
  const look = (path: string, top: boolean) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith(TEMPORARY_PREFIX)) return;
    const entry = lookAt(probe, join(probe.home, path));
    if (typeof entry === "string") {
      refused.push({ path, why: `it can't be looked at: ${entry}` });
    } else if (entry === undefined) {
      // a name that is not UTF-8 can't be asked for by the text that it was read as
      if (!top && path.includes("\uFFFD")) refused.push({ path, why: "its name is not UTF-8" });
    } else if (name === PARTIAL_FOLDER || name === MANIFEST) {
      refused.push({ path, why: "its name is one that the mirror itself uses" });
    } else if (entry.kind === "dir") {
      const names = probe.list(join(probe.home, path));
      const why = names.length === 0 ? probe.unlistable(join(probe.home, path)) : undefined;
      if (why !== undefined) refused.push({ path, why: `it can't be listed: ${why}` });
      for (const one of names) look(`${path}/${one}`, false);
    } else if (entry.kind === "file") {
      found.files.push({
        path,
        bytes: entry.size,
        mode: entry.mode,
        key: keyOf(entry),
        grows: grows(path),
      });
    } else if (entry.kind === "other") {
      refused.push({ path, why: "it is a device, a pipe or a socket" });
    } else if (top || !links) {
      refused.push({
        path,
        why: "it is a link, and only links within a shared folder are mirrored",
      });
    } else if (staysInside(path, entry.target ?? "")) {
      found.links.push({ path, target: entry.target ?? "" });
    } else {
      refused.push({ path, why: `it is a link that leads out, or may, to ${entry.target ?? ""}` });
    }
  };
  for (const top of tops) look(top, true);
  return { ...found, refused };
}

/** What stands there; undefined for nothing, and the reason where that can't be told: what can't be looked at is not absent. */
function lookAt(probe: Eyes, path: string): Entry | string | undefined {
  try {
    const entry = probe.stat(path);
    if (entry !== undefined) return entry;
    return probe.read(path).state === "denied" ? "its folder may not be entered" : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
