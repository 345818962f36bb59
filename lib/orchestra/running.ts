/** Scripts at work, and `serve`, by their locks. */
import { isGone, lockHolder } from "../keep/lock.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { ROSTER } from "../roster.ts";
import { SERVE_LOCK } from "./names.ts";

/** One that runs now. */
export interface Running {
  readonly script: string;
  readonly pid: number;
  /** UTC, ISO 8601. */
  readonly since: string;
}

/** What runs on this host now. */
export function runningNow(probe: Probe, act: Pick<Act, "real">): readonly Running[] {
  return [...ROSTER.map((row) => row.id), SERVE_LOCK].flatMap((script) => {
    try {
      const holder = lockHolder(probe, act, script);
      return holder && !isGone(probe, holder)
        ? [{ script, pid: holder.pid, since: holder.since }]
        : [];
    } catch {
      return []; // a damaged lock: 00_check_structure names it
    }
  });
}
