/** The watcher's judgement: from what it knew and what it sees now to what it knows, does and tells. Pure; everything else of the watcher is eyes and hands. */
import type { HostName } from "../unit.ts";
import { tell, type Condition, type Notice } from "./alerts.ts";
import { adviceFor, cure } from "./fixes.ts";
import { conditionsOf, measurements } from "./health.ts";
import { govern } from "./governor.ts";
import { BOTTOM, climb, type Climbed, type Deed } from "./ladder.ts";
import type { Look, ServiceLook } from "./look.ts";
import type { Memory } from "./memory.ts";
import { judgePeer } from "./peers.ts";
import { powerOf, step } from "./power.ts";
import type { Target, WatchState } from "./state.ts";

/** What one look leads to. The state must be on disk before a deed other than a plain restart is begun: then no kill of the watcher can make it forget one. */
export interface Decision {
  readonly state: WatchState & { readonly memory: Memory };
  readonly deeds: readonly Deed[];
  readonly notices: readonly Notice[];
}

/** The memory of a watcher that has never looked. */
export const NO_MEMORY: Memory = {
  watched: 0,
  uptime: 0,
  asleep: 0,
  calmUntil: 0,
  rungs: { engine: BOTTOM, gateway: BOTTOM },
  alerts: {},
  peers: {},
};

/** One look. `last` is the state of the look before, also one of an earlier watcher or boot. */
export function decide(last: WatchState | undefined, look: Look, host: HostName): Decision {
  const memory = last?.memory ?? NO_MEMORY;
  const { moment, first } = look;
  const at = new Date(moment.now).toISOString();
  const time = step(last, memory, moment, first);
  const now = time.watched;
  const calm = now < time.calmUntil;
  const climbed = (target: Target) =>
    climb(
      target,
      before(last, look.again ? NO_MEMORY : memory, target, look.again),
      look.services[target],
      {
        ...{ now, at, calm },
        acting: look.acting.includes(target),
        canGoBack: look.canGoBack.includes(target),
        useless: look.useless,
        ...(look.host.disk ? { writable: !look.host.disk.readOnly } : {}),
      },
    );
  const [engine, gateway] = [climbed("engine"), climbed("gateway")];
  const governed = govern(memory.governor, look.host, engine.seen.state, {
    now,
    busy: calm || look.acting.includes("engine"),
    again: look.again,
  });
  const seenPeers = [...(last?.peer ? [last.peer] : []), ...(last?.others ?? [])];
  const { clockSynced, throttled } = look.host;
  const peers = look.peers.map((one) => {
    const [seen, known] = [seenPeers.find(({ name }) => name === one.name), memory.peers[one.name]];
    return judgePeer(
      { ...(seen ? { seen } : {}), ...(known === undefined ? {} : { last: known }) },
      one,
      { now, at, ...(clockSynced === undefined ? {} : { clockSynced }) },
    );
  });
  const more = Math.max(0, (throttled ?? 0) - (memory.throttled ?? throttled ?? 0));
  const measured = measurements(look, {
    engine: engine.seen.state,
    throttledSince: time.booted ? 0 : more,
    governorLeft: governed.left,
  });
  const told = tell(
    memory.alerts,
    last?.alerts ?? [],
    [
      ...serviceConditions("engine", engine, look),
      ...serviceConditions("gateway", gateway, look),
      ...peers.flatMap((one) => one.conditions),
      ...conditionsOf(measured),
      ...(time.clockSet === 0 ? [] : [clockWasSet(time.clockSet)]),
    ],
    now,
    at,
  );
  const [peer, ...others] = peers.map((one) => one.seen);
  // a mirror run that failed since then does not make the last good one younger or forgotten
  const was = last?.mirror.at;
  const mirrored = look.mirror.at ?? (was === undefined ? undefined : Date.parse(was));
  const state = {
    ...{ schema: 1 as const, host, at, boot: moment.boot },
    since: first || !last ? at : last.since,
    engine: engine.seen,
    gateway: gateway.seen,
    ...(peer ? { peer } : {}),
    others,
    mirror:
      mirrored === undefined
        ? {}
        : { at: new Date(mirrored).toISOString(), ageMs: Math.max(0, moment.now - mirrored) },
    power: powerOf(last?.power, look.host, time.resumed ? at : undefined),
    health: measured.map((one) => one.health),
    alerts: told.alerts,
    halted: [engine.halt, gateway.halt].filter((one) => one !== undefined),
    memory: {
      watched: now,
      uptime: moment.uptime,
      asleep: moment.asleep,
      calmUntil: time.calmUntil,
      rungs: { engine: engine.rung, gateway: gateway.rung },
      alerts: told.remembered,
      peers: Object.fromEntries(peers.map((one) => [one.seen.name, one.last])),
      ...(throttled === undefined ? {} : { throttled }),
      governor: governed.kept,
    },
  };
  const deeds = [engine.deed, gateway.deed, governed.deed].filter((one) => one !== undefined);
  return { state, deeds, notices: told.notices };
}

/** Where a service stood. To try again what was given up means to know nothing of it but how often it was acted on: that bound always holds. */
function before(last: WatchState | undefined, memory: Memory, target: Target, again: boolean) {
  const acts = last?.memory?.rungs[target].acts ?? [];
  const halt = again ? undefined : last?.halted.find((one) => one.id === target);
  return {
    rung: { ...memory.rungs[target], acts },
    seen: last?.[target],
    ...(halt ? { halt } : {}),
  };
}

/** What the person should know of a service. */
function serviceConditions(target: Target, climbed: Climbed, look: Look): readonly Condition[] {
  const { seen, halt, rung, tooOften } = climbed;
  const service: ServiceLook = look.services[target];
  const cause = service.state === "down" ? service.cause : undefined;
  const fix = adviceFor(target, cause);
  const why = seen.why === undefined ? "" : `: ${seen.why}`;
  if (halt) {
    const what = `the ${target} is given up: ${halt.why}`;
    return [{ id: `${target}-halted`, level: "fail", what, fix }];
  }
  if (tooOften) {
    const what = `the ${target} fails too often to be started again within this hour${why}`;
    return [{ id: `${target}-too-often`, level: "fail", what, fix }];
  }
  if (seen.state === "stopped") {
    const what = `the ${target} does not run${why}`;
    const start = ["sudo", "systemctl", "start", `shelter-${target}.service`];
    return [{ id: `${target}-stopped`, level: "info", what, fix: start }];
  }
  const found: Condition[] = [];
  if (service.state === "up" && service.outdated !== undefined) {
    const what = `the ${target} serves by an older document: ${service.outdated}`;
    const mend = ["./bin/00_check_structure", "--plan"];
    found.push({ id: `${target}-outdated`, level: "warn", what, fix: mend });
  }
  const failed = look.acted.find((one) => one.target === target)?.failed;
  if (failed !== undefined) {
    const what = `healing the ${target} failed: ${failed}`;
    found.push({ id: `${target}-unhealed`, level: "warn", what, fix });
  }
  if (seen.state === "down" || rung.tries > 0) {
    const acts = rung.tries === 0 ? "" : `; acted on ${times(rung.tries)}`;
    const what =
      seen.state === "down"
        ? `the ${target} is down${why}${acts}`
        : `the ${target} fell lately${acts}`;
    const grave = rung.tries > 2 ? "fail" : "warn";
    // one that is healed at the first restart is told of when it falls again
    const level = rung.tries === 1 && seen.state !== "down" ? "info" : grave;
    found.push({ id: `${target}-down`, level, what, fix, hold: 2000 });
  }
  return found;
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function clockWasSet(by: number): Condition {
  const seconds = Math.round(Math.abs(by) / 1000);
  const what = `this host's clock was set ${by > 0 ? "forward" : "back"} by ${seconds} s`;
  return { id: "clock-set", level: "info", what };
}

/** What a deed is, in one sentence for the journal and the person. */
export function deedText({ target, rung, fix, why }: Deed): string {
  const does = {
    restart: `restart the ${target}`,
    fix: `heal the ${target} by a known fix: ${cure(fix ?? "")?.what ?? ""}`,
    previous:
      target === "engine"
        ? "put the last good generation of the engine live"
        : "go back to the release before, gateway and watcher",
    governor: 'set the governor to "performance" again',
  }[rung];
  return `${does}, because ${why}`;
}
