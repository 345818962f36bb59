/** Time as the watcher counts it: what was slept through, switched off or not watched is no time in which something failed. Pure. */
import type { Moment } from "./look.ts";
import type { Memory, Watched } from "./memory.ts";
import type { Power, WatchState } from "./state.ts";

/** A look that comes later than this after the one before was held up: the watcher was stopped, or the machine is drowning. Milliseconds. */
export const GAP = 15_000;

/** Most that one step of the watcher's clock takes: two of its looks. */
export const LONGEST_STEP = 5000;

/** Uptime from which a host has started all that it starts, in milliseconds. */
const LONG_UP = 300_000;

/** After a boot, a suspend or its own start the watcher lets everything settle for this long, in milliseconds. */
export const CALM: Readonly<Record<"boot" | "resume" | "start", number>> = {
  boot: 30_000,
  resume: 20_000,
  start: 5000,
};

/** A step of the watcher's clock. */
export interface Step {
  readonly watched: Watched;
  readonly calmUntil: Watched;
  readonly resumed: boolean;
  readonly booted: boolean;
  /** By how much the wall clock was set since the last look, in milliseconds; 0 for what drifts by itself. */
  readonly clockSet: number;
}

/** From the last look to this one. */
export function step(
  last: Pick<WatchState, "boot" | "at"> | undefined,
  memory: Memory,
  moment: Moment,
  first: boolean,
): Step {
  const booted = last === undefined || last.boot !== moment.boot;
  const passed = booted ? 0 : Math.max(0, moment.uptime - memory.uptime);
  const slept = booted ? 0 : Math.max(0, moment.asleep - memory.asleep);
  const awake = Math.max(0, passed - slept);
  const watched = memory.watched + Math.min(awake, LONGEST_STEP);
  const resumed = slept > 1000;
  const held = awake > GAP;
  const calm = calmFor({ booted, late: resumed || held, first, never: last === undefined }, moment);
  const set = booted || last === undefined ? 0 : moment.now - Date.parse(last.at) - passed;
  return {
    watched,
    calmUntil: calm > 0 ? Math.max(memory.calmUntil, watched + calm) : memory.calmUntil,
    resumed,
    booted,
    clockSet: Math.abs(set) > 60_000 ? set : 0,
  };
}

/** A watcher that is new on a host that has long been up meets no host that is just starting. */
function calmFor(
  event: Readonly<Record<"booted" | "late" | "first" | "never", boolean>>,
  { uptime }: Moment,
): number {
  if (event.booted && !(event.never && uptime > LONG_UP)) return CALM.boot;
  if (event.late) return CALM.resume;
  return event.first ? CALM.start : 0;
}

/** Battery, lid and the last waking up, for whoever reads the state. */
export function powerOf(
  last: Power | undefined,
  host: { readonly onBattery?: boolean; readonly lid?: "open" | "closed" },
  resumedAt: string | undefined,
): Power {
  const woke = resumedAt ?? last?.resumedAt;
  return {
    ...(host.onBattery === undefined ? {} : { onBattery: host.onBattery }),
    ...(host.lid === undefined ? {} : { lid: host.lid }),
    ...(woke === undefined ? {} : { resumedAt: woke }),
  };
}
