/** How long the watcher waits, and how often it may act at most. Pure; all times are milliseconds of the watcher's own clock. */
import type { Watched } from "./memory.ts";

/** Without a break up for this long, a service is well, and what was tried before is forgotten. */
export const WELL = 600_000;

/** The window in which acts are counted, and the most of them in it for one service, whatever happens. */
export const WINDOW = 3_600_000;
export const MOST_IN_WINDOW = 8;

const FIRST_WAIT = 10_000;
const LONGEST_WAIT = 300_000;

/** How long nothing is done after the act that was number `tries`, counted from 1. */
export function waitAfter(tries: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** Math.max(0, tries - 1));
}

/** Acts that still count. */
export function recent(acts: readonly Watched[], now: Watched): readonly Watched[] {
  return acts.filter((at) => now - at < WINDOW);
}

/** Whether the window has room for one more act. */
export function mayAct(acts: readonly Watched[], now: Watched): boolean {
  return recent(acts, now).length < MOST_IN_WINDOW;
}
