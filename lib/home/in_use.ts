/** Which paths a living process has open or works in, by /proc. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";

/** A process that uses a path. */
export interface User {
  readonly pid: number;
  /** Its command's name. */
  readonly command: string;
}

/**
 * For each of `paths` that a process has open, or stands in, or has something below it open: that process. Of other users' processes only root sees
 * the open files, but what is ours is used by ours.
 */
export function usersOf(probe: Probe, paths: readonly string[]): ReadonlyMap<string, User> {
  const found = new Map<string, User>();
  if (paths.length === 0) return found;
  const real = new Map(paths.map((path) => [path, probe.real(path) ?? path]));
  for (const pid of probe.list("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const links = [
      `/proc/${pid}/cwd`,
      `/proc/${pid}/exe`,
      ...probe.list(`/proc/${pid}/fd`).map((fd) => join("/proc", pid, "fd", fd)),
    ];
    for (const link of links) {
      const target = targetOf(probe, link);
      if (target === undefined) continue;
      for (const [path, place] of real) {
        if (found.has(path) || (target !== place && !target.startsWith(`${place}/`))) continue;
        found.set(path, {
          pid: Number(pid),
          command: probe.text(`/proc/${pid}/comm`)?.trim() ?? "?",
        });
      }
    }
  }
  return found;
}

/** Processes end while we look, and some links may not be read. */
function targetOf(probe: Probe, link: string): string | undefined {
  try {
    return probe.stat(link)?.target?.replace(/ \(deleted\)$/, "");
  } catch {
    return undefined;
  }
}
