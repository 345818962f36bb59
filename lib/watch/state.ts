/** runtime/state/watch.json: what the watcher knows of its host, for `status`, the banners, `shelter watch` and the peer. Written by the watcher alone. */
import { json, members } from "../facts/text.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName, Level } from "../unit.ts";
import type { Memory } from "./memory.ts";

/** What the watcher heals. */
export const TARGETS = ["engine", "gateway"] as const;
export type Target = (typeof TARGETS)[number];

/** "stopped": by the operator, and left so. "absent": not set up here. "starting": within the time that it may take. */
export type Standing = "up" | "starting" | "down" | "stopped" | "absent" | "unknown";

/** One service as the watcher sees it. Times are UTC, ISO 8601. */
export interface Supervised {
  readonly state: Standing;
  readonly since: string;
  /** Why it is not up. */
  readonly why?: string;
  /** How often the watcher has acted on it since it last was well for ten minutes. */
  readonly restarts: number;
}

/** Another host as this watcher sees it. */
export interface PeerSeen {
  readonly name: HostName;
  readonly state: "up" | "down" | "unknown";
  readonly since: string;
  /** When it last answered. */
  readonly lastSeen?: string;
  /** Why it is down, or what is known of it: e.g. that its lid was closed. */
  readonly why?: string;
  /** Its clock less ours, in milliseconds. */
  readonly clockOff?: number;
  /** Age of its own watcher's last word by its own clock, in milliseconds. */
  readonly watcherAge?: number;
}

/** One thing that is measured of the host. */
export interface Health {
  readonly id: string;
  readonly level: Level;
  readonly what: string;
}

/** Something the person should know. `count`: how often it came up within a day. */
export interface Alert {
  readonly id: string;
  readonly level: "info" | "warn" | "fail";
  readonly since: string;
  readonly count: number;
  readonly what: string;
  /** The best-known fix, as an argument list. */
  readonly fix?: readonly string[];
}

/** A service that is not healed any more. */
export interface Halt {
  readonly id: Target;
  readonly why: string;
  readonly since: string;
}

/** Power, as far as it explains why something is as it is. None of it is a failure. */
export interface Power {
  readonly onBattery?: boolean;
  readonly lid?: "open" | "closed";
  /** When the host last came back from a suspend. */
  readonly resumedAt?: string;
}

/** The whole document. */
export interface WatchState {
  readonly schema: 1;
  readonly host: HostName;
  /** When it was written: older than `STALE` means that the watcher does not run. */
  readonly at: string;
  /** The kernel's boot id. */
  readonly boot: string;
  /** Since when this watcher runs. */
  readonly since: string;
  /** When it was stopped in good order; left out while it runs, and where it was killed. */
  readonly ended?: string;
  readonly engine: Supervised;
  readonly gateway: Supervised;
  /** The first paired host; left out where there is none. */
  readonly peer?: PeerSeen;
  /** Further paired hosts. */
  readonly others: readonly PeerSeen[];
  /** When the last mirror run ended well, and how old that is in milliseconds. */
  readonly mirror: { readonly at?: string; readonly ageMs?: number };
  readonly power: Power;
  readonly health: readonly Health[];
  /** Those that stand now, gravest first. */
  readonly alerts: readonly Alert[];
  readonly halted: readonly Halt[];
  /** The watcher's own memory: nobody else's business. */
  readonly memory?: Memory;
}

/** Milliseconds after which a state's `at` says that no watcher runs: it writes at least every 30 s. */
export const STALE = 90_000;

/** The last state of this host's watcher. Undefined where there is none; `damaged` says what is wrong. */
export function readWatch(
  probe: Pick<Probe, "home" | "text">,
): WatchState | { readonly damaged: string } | undefined {
  const text = probe.text(inHome.watch(probe.home));
  return text === undefined ? undefined : parseWatch(json(text));
}

/** Checks a watcher's document, which may be another host's. Only its form is believed, not what it says. */
export function parseWatch(value: unknown): WatchState | { readonly damaged: string } {
  const from = members(value);
  if (from["schema"] !== 1) return { damaged: "its schema is not 1" };
  for (const key of ["host", "at", "boot", "since"]) {
    const text = from[key];
    if (typeof text !== "string" || text.length > 200) return { damaged: `${key} is no text` };
  }
  if (!isTime(from["at"]) || !isTime(from["since"])) return { damaged: "a time is missing" };
  if (from["ended"] !== undefined && !isTime(from["ended"])) return { damaged: "ended is no time" };
  for (const key of TARGETS) {
    const one = members(from[key]);
    if (!isOneOf(one["state"], STANDINGS) || !isTime(one["since"]) || !isCount(one["restarts"])) {
      return { damaged: `${key} is not a service's state` };
    }
    if (!isWords(one["why"])) return { damaged: `${key}.why is no text` };
  }
  if (from["peer"] !== undefined && !isPeer(from["peer"])) return { damaged: "peer is malformed" };
  if (!isList(from["others"], isPeer)) return { damaged: "others is malformed" };
  const mirror = members(from["mirror"]);
  if (!(mirror["at"] === undefined || isTime(mirror["at"])))
    return { damaged: "mirror.at is no time" };
  if (!isAmount(mirror["ageMs"])) return { damaged: "mirror.ageMs is no number" };
  if (!isPower(from["power"])) return { damaged: "power is malformed" };
  if (!isList(from["health"], isHealth)) return { damaged: "health is malformed" };
  if (!isList(from["alerts"], isAlert)) return { damaged: "alerts is malformed" };
  if (!isList(from["halted"], isHalt)) return { damaged: "halted is malformed" };
  return value as WatchState;
}

/** What may leave this host: everything but the watcher's memory. */
export function withoutMemory(state: WatchState): WatchState {
  const { memory, ...rest } = state;
  return memory === undefined ? state : rest;
}

/** True where the document is too old for its watcher to be running. `now` in milliseconds since 1970. */
export function isStale(state: WatchState, now: number): boolean {
  return now - Date.parse(state.at) > STALE;
}

const STANDINGS: readonly Standing[] = ["up", "starting", "down", "stopped", "absent", "unknown"];
const LEVELS: readonly Level[] = ["ok", "info", "warn", "fail", "unknown"];
/** Longest list and text that another host may send. */
const MOST = 200;
const LONGEST = 2000;

type Check = (value: unknown) => boolean;

function isPeer(value: unknown): boolean {
  const one = members(value);
  return (
    isName(one["name"]) &&
    isOneOf(one["state"], ["up", "down", "unknown"]) &&
    isTime(one["since"]) &&
    (one["lastSeen"] === undefined || isTime(one["lastSeen"])) &&
    isWords(one["why"]) &&
    isAmount(one["clockOff"]) &&
    isAmount(one["watcherAge"])
  );
}

function isPower(value: unknown): boolean {
  const one = members(value);
  return (
    (one["onBattery"] === undefined || typeof one["onBattery"] === "boolean") &&
    (one["lid"] === undefined || isOneOf(one["lid"], ["open", "closed"])) &&
    (one["resumedAt"] === undefined || isTime(one["resumedAt"]))
  );
}

function isHealth(value: unknown): boolean {
  const one = members(value);
  return isName(one["id"]) && isOneOf(one["level"], LEVELS) && isText(one["what"]);
}

function isAlert(value: unknown): boolean {
  const one = members(value);
  const { fix } = one;
  return (
    isName(one["id"]) &&
    isOneOf(one["level"], ["info", "warn", "fail"]) &&
    isTime(one["since"]) &&
    isCount(one["count"]) &&
    isText(one["what"]) &&
    (fix === undefined || isList(fix, isText))
  );
}

function isHalt(value: unknown): boolean {
  const one = members(value);
  return isOneOf(one["id"], TARGETS) && isText(one["why"]) && isTime(one["since"]);
}

function isList(value: unknown, check: Check): boolean {
  return Array.isArray(value) && value.length <= MOST && value.every(check);
}
function isOneOf(value: unknown, choices: readonly string[]): boolean {
  return typeof value === "string" && choices.includes(value);
}
function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= LONGEST;
}
function isWords(value: unknown): boolean {
  return value === undefined || isText(value);
}
function isName(value: unknown): boolean {
  return typeof value === "string" && /^[A-Za-z0-9][\w.:-]{0,99}$/.test(value);
}
function isTime(value: unknown): boolean {
  return typeof value === "string" && value.length < 40 && !Number.isNaN(Date.parse(value));
}
function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
function isAmount(value: unknown): boolean {
  return value === undefined || (typeof value === "number" && Number.isFinite(value));
}

/** A state as the text of its file. */
export function watchText(state: WatchState): string {
  return `${JSON.stringify(state)}\n`;
}
