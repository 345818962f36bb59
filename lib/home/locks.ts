/** Which locks of a home belong to the living, and which to the dead. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import { isGone, readIdentity } from "../keep/lock.ts";
import type { Probe } from "../machine/probe.ts";
import type { DeadLock, LiveLock } from "./structure_facts.ts";

/** Looks at every lock. Our own are not told: they end with this run. */
export function lookAtLocks(probe: Probe): {
  readonly deadLocks: readonly DeadLock[];
  readonly liveLocks: readonly LiveLock[];
} {
  const deadLocks: DeadLock[] = [];
  const liveLocks: LiveLock[] = [];
  for (const file of probe.list(inHome.locks(probe.home))) {
    if (!file.endsWith(".lock")) continue;
    const name = file.slice(0, -".lock".length);
    const path = join(inHome.locks(probe.home), file);
    const text = probe.text(join(path, "holder.json"));
    const holder = text === undefined ? undefined : readIdentity(text);
    const entry = probe.stat(path);
    if (entry === undefined) continue; // released while we looked
    if (holder === undefined) {
      deadLocks.push({ name, path, ageMs: Math.max(0, probe.now() - entry.mtime) });
      continue;
    }
    if (holder.pid === process.pid) continue;
    const { pid, script, since } = holder;
    const ageMs = Math.max(0, probe.now() - Date.parse(since)) || 0;
    if (isGone(probe, holder))
      deadLocks.push({ name, path, holder: { pid, script, since }, ageMs });
    else liveLocks.push({ name, pid, script, ageMs });
  }
  return { deadLocks, liveLocks };
}
