/** What is mirrored, and whose it is: one table for both ends. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { HostName } from "../unit.ts";
import { isPlainPath } from "./wire.ts";

/** The script whose own records must not count as something new to mirror: else each run would call for the next. */
export const MIRROR = "05_rsync_mirror";
/** The status file that it keeps. */
export const MIRROR_FLAG = "mirror_synced";

/** Bytes that stay free on a host that takes files or a model: a journal, a status and a lock must always find room. */
export const SPARE = { files: 64 * 1024 ** 2, model: 1024 ** 3 } as const;
/** Models that may wait for one commit. */
export const MODELS_AT_ONCE = 64;

/** Files and folders that two hosts may both write. Relative to the home. */
export const SHARED = ["shared.cfg", "agents", "dashboards"] as const;

/** Folder names that a peer's things are linked under: `status/<peer>` and so on lead into what arrived. */
export const LINKED = ["status", "logs/memory", "logs/journal"] as const;

/** What only `host` writes and `peer` gets. Relative to the home. */
export function ownedBy(host: HostName, peer: HostName): readonly string[] {
  return [
    ...LINKED.map((folder) => join(folder, host)),
    `runtime/bench/${host}`,
    `runtime/inventory/${host}.json`,
    "runtime/state/watch.json",
    releaseFolder(peer),
  ];
}

/** The programs that were built for a peer. Relative to the home. */
export function releaseFolder(peer: HostName): string {
  return `bin/hosts/${peer}`;
}

/** True where two hosts may both write `path`. */
export function isShared(path: string): boolean {
  return SHARED.some((top) => isWithin(path, top));
}

/** True where `host` may send `path` to `peer`. */
export function isMirrored(path: string, host: HostName, peer: HostName): boolean {
  if (!isPlainPath(path)) return false;
  return isShared(path) || ownedBy(host, peer).some((top) => isWithin(path, top));
}

/** Logs only ever grow: what was added while one was being sent is for the next time. */
export function grows(path: string): boolean {
  return path.startsWith("logs/");
}

/** Records of the mirror itself, and what changes by the second: they go along, and are no reason to go. */
export function isQuiet(path: string, host: HostName): boolean {
  return (
    path === `status/${host}/${MIRROR_FLAG}.json` ||
    path === "runtime/state/watch.json" ||
    isWithin(path, `logs/memory/${host}/${MIRROR}`)
  );
}

/**
 * Where a symbolic link in a shared folder may lead: to a place in the same shared folder, said relative to itself. It goes up only before its first name: after
 * one, what ".." means depends on whether that name is a link too.
 */
export function staysInside(path: string, target: string): boolean {
  if (target.startsWith("/") || target.includes("\0") || target === "") return false;
  const parts = path.split("/").slice(0, -1);
  let named = false;
  for (const part of target.split("/")) {
    if (part === "") continue;
    if (part === ".") return false;
    if (part !== "..") {
      parts.push(part);
      named = true;
    } else if (named || parts.length <= 1) return false;
    else parts.pop();
  }
  return named && parts[0] === path.split("/")[0];
}

/** Where a generation of `from` stands. */
export function generationPlace(home: string, from: HostName, generation: string): string {
  return inHome.mirror(home, from, generation);
}

/** What was replaced by a generation, and how to go back: out of reach of the peer's rsync. */
export function keptPlace(home: string, from: HostName, generation: string): string {
  return inHome.mirror(home, from, "kept", generation);
}

/** What this host has written down as agreed with a peer. */
export function agreedPlace(home: string, host: HostName, peer: HostName): string {
  return inHome.mirror(home, host, `${peer}.json`);
}

/** The list of a generation's files. */
export const MANIFEST = ".manifest.json";

/** True where `path` is `top` or stands below it. */
export function isWithin(path: string, top: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}
