/**
 * The ladder on which a service is healed: restart -> known fix -> last good generation -> halt with the reason. Pure. Each rung is climbed once per
 * illness; a service that was well for ten minutes starts anew at the bottom.
 */
import { duration } from "../report/text.ts";
import { mayAct, recent, waitAfter, WELL } from "./backoff.ts";
import { fixFor, type Cure } from "./fixes.ts";
import type { ServiceLook } from "./look.ts";
import type { Rung, Watched } from "./memory.ts";
import type { Halt, Supervised, Target } from "./state.ts";

/** What the watcher is about to do. */
export interface Deed {
  readonly target: Target;
  /** "governor" is none of the ladder's: it is set again for an engine that serves. */
  readonly rung: "restart" | "fix" | "previous" | "governor";
  /** Which known fix. */
  readonly fix?: string;
  /** What the service suffers from. */
  readonly why: string;
  /** Number of this act since the service was last well. */
  readonly attempt: number;
}

/** What going back is called, for each service: an engine has builds, and the gateway is of a release of the whole program. */
const GENERATION: Readonly<Record<Target, string>> = {
  engine: "the last good generation",
  gateway: "the release before",
};

/** Causes that no other program cures: the person's own document and certificates, another gateway, and the host's ports and disk are what they are. */
const NOT_THE_PROGRAMS: ReadonlySet<string | undefined> = new Set([
  "gateway-config",
  "certificate",
  "locked",
  "port-taken",
  "disk-full",
  "disk-error",
]);

/** A rung where nothing has been tried. */
export const BOTTOM: Rung = {
  tries: 0,
  restarts: 0,
  acts: [],
  notBefore: 0,
  fixed: [],
  wentBack: false,
};

/** Restarts before the next rung; one alone where the cause has a known fix, because a restart cures no cause. */
const RESTARTS = 3;

/** How long each may take to start, in milliseconds: a large model is read from a slow disk first. */
const START_LIMIT: Readonly<Record<Target, number>> = { engine: 600_000, gateway: 60_000 };

/** What one look at a service leads to. */
export interface Climbed {
  readonly rung: Rung;
  readonly seen: Supervised;
  readonly halt?: Halt;
  readonly deed?: Deed;
  /** It is down, and nothing more may be done about it in this hour. */
  readonly tooOften?: true;
}

/** What the ladder needs to know beside the service itself. */
export interface Around {
  readonly now: Watched;
  /** Wall time, ISO 8601. */
  readonly at: string;
  /** Nothing is judged yet. */
  readonly calm: boolean;
  /** An act on it is under way. */
  readonly acting: boolean;
  /** There is a generation to go back to. */
  readonly canGoBack: boolean;
  /** Known fixes that have nothing to do on this host. */
  readonly useless: readonly Cure["id"][];
  /** The home's disk can be written: undefined where nobody tells. */
  readonly writable?: boolean;
}

/** One look at one service. */
export function climb(
  target: Target,
  before: { readonly rung: Rung; readonly seen: Supervised | undefined; readonly halt?: Halt },
  look: ServiceLook,
  around: Around,
): Climbed {
  const { now, at, calm, acting } = around;
  const judged = overdue(target, before.rung, look, now);
  const rung = timed(before.rung, judged, now);
  const seen = seenAs(before.seen, judged, rung, at);
  const well = rung.wellSince !== undefined && now - rung.wellSince >= WELL;
  if (well) {
    const fresh: Rung = { ...BOTTOM, acts: recent(rung.acts, now), wellSince: rung.wellSince };
    return { rung: fresh, seen: { ...seen, restarts: 0 } };
  }
  const kept = { rung, seen, ...(before.halt ? { halt: before.halt } : {}) };
  if (judged.state !== "down" || calm || acting || before.halt || now < rung.notBefore) return kept;
  const next = nextRung(target, rung, judged.cause, around);
  if (next === undefined) {
    return { ...kept, halt: { id: target, why: reason(target, rung, judged.why), since: at } };
  }
  if (!mayAct(rung.acts, now)) return { ...kept, tooOften: true };
  const tries = rung.tries + 1;
  return {
    rung: {
      ...rung,
      tries,
      restarts: rung.restarts + (next.rung === "restart" ? 1 : 0),
      acts: [...recent(rung.acts, now), now],
      notBefore: now + waitAfter(tries),
      fixed: next.fix === undefined ? rung.fixed : [...rung.fixed, next.fix],
      wentBack: rung.wentBack || next.rung === "previous",
    },
    seen: { ...seen, restarts: tries },
    deed: { target, ...next, why: judged.why, attempt: tries },
  };
}

function nextRung(
  target: Target,
  rung: Rung,
  cause: string | undefined,
  { canGoBack, useless, writable }: Around,
): Pick<Deed, "rung" | "fix"> | undefined {
  const fix = rung.wentBack ? undefined : fixFor(target, cause, rung.fixed, useless);
  // what follows a fix or a step back is judged as it is: each of them restarts by itself
  const untouched = rung.fixed.length === 0 && !rung.wentBack;
  if (untouched && rung.restarts < (fix ? 1 : RESTARTS)) return { rung: "restart" };
  if (fix) return { rung: "fix", fix: fix.id };
  if (!canGoBack || rung.wentBack || isTheHosts(cause, writable)) return undefined;
  return { rung: "previous" };
}

/**
 * Whether another program would suffer from it, too. "read-only" is what a kernel makes of a disk that fails; where the disk can be written, it is the unit's
 * sandbox that refuses a place to this program, and the one before never asked for it.
 */
function isTheHosts(cause: string | undefined, writable: boolean | undefined): boolean {
  if (cause === "read-only") return writable !== true;
  return NOT_THE_PROGRAMS.has(cause);
}

/** A service that starts for too long is down. */
function overdue(target: Target, rung: Rung, look: ServiceLook, now: Watched): ServiceLook {
  if (look.state !== "starting" || rung.startingSince === undefined) return look;
  const taken = now - rung.startingSince;
  if (taken <= START_LIMIT[target]) return look;
  return { state: "down", why: `it has been starting for ${duration(taken)}`, cause: "start-slow" };
}

function timed(rung: Rung, look: ServiceLook, now: Watched): Rung {
  const { wellSince, startingSince, ...rest } = rung;
  return {
    ...rest,
    ...(look.state === "up" ? { wellSince: wellSince ?? now } : {}),
    ...(look.state === "starting" ? { startingSince: startingSince ?? now } : {}),
  };
}

function seenAs(
  last: Supervised | undefined,
  look: ServiceLook,
  rung: Rung,
  at: string,
): Supervised {
  return {
    state: look.state,
    since: last?.state === look.state ? last.since : at,
    ...("why" in look ? { why: look.why } : {}),
    restarts: rung.tries,
  };
}

/** Why it was given up: what it suffers from, and what did not help. */
function reason(target: Target, rung: Rung, why: string): string {
  const tried = [
    rung.restarts === 0 ? "" : rung.restarts === 1 ? "a restart" : `${rung.restarts} restarts`,
    ...rung.fixed.map((id) => `the known fix ${id}`),
    rung.wentBack ? `going back to ${GENERATION[target]}` : "",
  ].filter((one) => one !== "");
  return tried.length === 0 ? why : `${why}. ${sentence(tried)} did not help`;
}

function sentence(parts: readonly string[]): string {
  const [last = "", ...before] = [...parts].reverse();
  const text = before.length === 0 ? last : `${before.reverse().join(", ")} and ${last}`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
