/** What the watcher remembers from one look to the next, across its own restarts and the host's. */
import { members } from "../facts/text.ts";
import type { GovernorKept } from "./governor.ts";
import type { Target } from "./state.ts";

/**
 * Moments in it are on the watcher's own clock: milliseconds in which this host was awake and watched, in all. It stands still during a suspend, while
 * the host is off and while no watcher runs, and no change of the wall clock moves it.
 */
export type Watched = number;

/** One service's place on the ladder. */
export interface Rung {
  /** Acts since it was last well for ten minutes: also the number of the next rung. */
  readonly tries: number;
  /** Plain restarts among them. */
  readonly restarts: number;
  /** When the watcher acted on it lately, newest last. */
  readonly acts: readonly Watched[];
  /** Nothing is done to it before this moment. */
  readonly notBefore: Watched;
  /** Since when it has been up without a break; undefined while it is not. */
  readonly wellSince?: Watched;
  /** Since when it has been starting without a break. */
  readonly startingSince?: Watched;
  /** Known fixes that were tried since it was last well for ten minutes. */
  readonly fixed: readonly string[];
  /** Whether the last good generation was put live since it was last well for ten minutes. */
  readonly wentBack: boolean;
}

/** What is remembered of an alert, also after it has gone, so that one that comes back is known. */
export interface Remembered {
  /** When its condition began to hold. */
  readonly from: Watched;
  /** When its condition held last. */
  readonly last: Watched;
  /** Whether it stands now. */
  readonly stands: boolean;
  readonly count: number;
  /** Wall time of its beginning, ISO 8601. */
  readonly since: string;
  /** The level at which the person was told, and when. */
  readonly told?: { readonly level: "info" | "warn" | "fail"; readonly at: Watched };
}

/** The whole memory. */
export interface Memory {
  readonly watched: Watched;
  /** Milliseconds since boot at the last look, and how many of them the host was suspended. */
  readonly uptime: number;
  readonly asleep: number;
  /** Until when nothing is judged, because the host has just woken up or started. */
  readonly calmUntil: Watched;
  readonly rungs: Readonly<Record<Target, Rung>>;
  readonly alerts: Readonly<Record<string, Remembered>>;
  /** When each paired host last answered. */
  readonly peers: Readonly<Record<string, Watched>>;
  /** Throttle events counted at the last look, to see whether more came. */
  readonly throttled?: number;
  readonly governor?: GovernorKept;
}

/** Whether a value from disk is a memory. One that is not is forgotten as a whole. */
export function isMemory(value: unknown): value is Memory {
  const from = members(value);
  const rungs = members(from["rungs"]);
  return (
    [from["watched"], from["uptime"], from["asleep"], from["calmUntil"]].every(isMoment) &&
    isRung(rungs["engine"]) &&
    isRung(rungs["gateway"]) &&
    Object.values(members(from["peers"])).every(isMoment) &&
    Object.values(members(from["alerts"])).every(isRemembered) &&
    (from["throttled"] === undefined || isMoment(from["throttled"])) &&
    (from["governor"] === undefined || isGovernorKept(from["governor"]))
  );
}

function isRung(value: unknown): boolean {
  const { tries, restarts, acts, notBefore, wellSince, startingSince, fixed, wentBack } =
    members(value);
  return (
    [tries, restarts, notBefore].every(isMoment) &&
    Array.isArray(acts) &&
    acts.every(isMoment) &&
    [wellSince, startingSince].every((one) => one === undefined || isMoment(one)) &&
    Array.isArray(fixed) &&
    fixed.every((one) => typeof one === "string") &&
    typeof wentBack === "boolean"
  );
}

function isGovernorKept(value: unknown): boolean {
  const { tries, acts, notBefore, slowSince, wellSince } = members(value);
  return (
    [tries, notBefore].every(isMoment) &&
    Array.isArray(acts) &&
    acts.every(isMoment) &&
    [slowSince, wellSince].every((one) => one === undefined || isMoment(one))
  );
}

function isRemembered(value: unknown): boolean {
  const { from, last, stands, count, since, told } = members(value);
  return (
    [from, last, count].every(isMoment) &&
    typeof stands === "boolean" &&
    typeof since === "string" &&
    !Number.isNaN(Date.parse(since)) &&
    (told === undefined || isTold(told))
  );
}

function isTold(value: unknown): boolean {
  const { level, at } = members(value);
  return (level === "warn" || level === "fail") && isMoment(at);
}

function isMoment(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
