/** The other hosts, as far as they answer. Pure. */
import { duration } from "../report/text.ts";
import type { Condition } from "./alerts.ts";
import type { PeerLook } from "./look.ts";
import type { Watched } from "./memory.ts";
import { STALE, type PeerSeen } from "./state.ts";

/** A host that has not answered for this long is down, in milliseconds of the watcher's clock: a radio may be gone for a moment. */
const SILENCE = 45_000;

/** From here on a difference of the clocks is said, and from here on it is grave: certificates and backups go by it. Milliseconds. */
const CLOCK_OFF = 60_000;
const CLOCK_FAR_OFF = 600_000;

/** What one look at one host leads to. */
export interface PeerJudged {
  readonly seen: PeerSeen;
  /** When it last answered. */
  readonly last: Watched;
  readonly conditions: readonly Condition[];
}

export function judgePeer(
  before: { readonly seen?: PeerSeen; readonly last?: Watched },
  look: PeerLook,
  around: {
    readonly now: Watched;
    readonly at: string;
    readonly clockSynced?: boolean;
  },
): PeerJudged {
  const { now, at } = around;
  const last = look.answers === true || before.last === undefined ? now : before.last;
  const silent = look.answers === false && now - last >= SILENCE;
  const was = before.seen?.state ?? "unknown";
  const state = look.answers === true ? "up" : silent ? "down" : was;
  const asleep = state === "down" && look.heard?.power.lid === "closed";
  const why = asleep ? "its lid was closed when it was last heard: it sleeps" : look.why;
  const lastSeen = look.answers === true ? at : before.seen?.lastSeen;
  const seen: PeerSeen = {
    name: look.name,
    state,
    since: before.seen?.state === state ? before.seen.since : at,
    ...(lastSeen === undefined ? {} : { lastSeen }),
    ...(why === undefined || state === "up" ? {} : { why }),
    ...(look.clockOff === undefined ? {} : { clockOff: Math.round(look.clockOff) }),
    ...(look.watcherAge === undefined ? {} : { watcherAge: Math.round(look.watcherAge) }),
  };
  return { seen, last, conditions: [...conditionsOf(seen, look, asleep, around.clockSynced)] };
}

function* conditionsOf(
  { name, state, why, clockOff, watcherAge, lastSeen }: PeerSeen,
  { heard, gatewayFails, trouble, answers }: PeerLook,
  asleep: boolean,
  clockSynced: boolean | undefined,
): Generator<Condition> {
  const look = ["./bin/shelter", "status", "--host", name];
  if (trouble) {
    const what = `${name}: ${trouble.why}`;
    yield { id: `peer-trouble.${name}`, level: "warn", what, fix: trouble.fix ?? look };
  }
  if (state === "down") {
    const seen = lastSeen === undefined ? "" : `; it last answered at ${lastSeen}`;
    yield {
      id: `peer-down.${name}`,
      level: asleep ? "info" : "warn",
      what: `${name} does not answer${why === undefined ? "" : `: ${why}`}${seen}`,
      fix: look,
    };
    return; // what was known of it is old now
  }
  if (answers === true && gatewayFails !== undefined) {
    yield {
      id: `peer-gateway.${name}`,
      level: "warn",
      what: `${name} is there, but ${gatewayFails}: no answer can be carried over to it`,
      fix:
        /not valid yet/.test(gatewayFails) && clockIsOff(clockOff)
          ? setClock(name, clockSynced)
          : /certificate/.test(gatewayFails)
            ? ["./bin/shelter", "pair", name, "--renew"]
            : look,
      hold: 60_000,
    };
  }
  if (clockIsOff(clockOff)) {
    const far = duration(Math.abs(clockOff));
    const whose =
      clockSynced === true ? `; this host's is synchronised, so ${name}'s is wrong` : "";
    yield {
      id: `peer-clock.${name}`,
      level: Math.abs(clockOff) >= CLOCK_FAR_OFF ? "fail" : "warn",
      what: `the clock of ${name} is ${far} ${clockOff > 0 ? "ahead of" : "behind"} this host's${whose}`,
      fix: setClock(name, clockSynced),
    };
  }
  const ended = heard?.ended;
  if (state === "up" && (ended !== undefined || (watcherAge ?? 0) > STALE)) {
    const how =
      ended === undefined
        ? `has said nothing for ${duration(watcherAge ?? 0)}`
        : `was stopped at ${ended}`;
    yield {
      id: `peer-watcher.${name}`,
      level: "warn",
      what: `the watcher of ${name} ${how}: nobody heals that host`,
      fix: look,
    };
  }
}

function clockIsOff(off: number | undefined): off is number {
  return off !== undefined && Math.abs(off) >= CLOCK_OFF;
}

/** Of two clocks, the one that is synchronised is right. */
function setClock(name: string, synced: boolean | undefined): readonly string[] {
  return synced === true
    ? ["./bin/01_validate_prereqs", "--host", name]
    : ["sudo", "timedatectl", "set-ntp", "true"];
}
