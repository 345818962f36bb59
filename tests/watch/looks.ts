/** Looks for the watcher's tests: a healthy host, and whatever a test wants different. */
import fc from "fast-check";
import { decide, type Decision } from "../../lib/watch/decide.ts";
import type { Look, ServiceLook } from "../../lib/watch/look.ts";
import type { WatchState } from "../../lib/watch/state.ts";

export const BOOT = "11111111-2222-3333-4444-555555555555";
export const START = Date.parse("2026-05-01T10:00:00Z");
/** Milliseconds between two looks of a watcher. */
export const TICK = 2000;

/** A look at a host on which all is well. */
export function lookAt(uptime: number, over: Partial<Look> = {}): Look {
  return {
    moment: { now: START + uptime, uptime, asleep: 0, boot: BOOT },
    first: false,
    services: { engine: { state: "up" }, gateway: { state: "up" } },
    peers: [],
    host: { gpus: [], slowLinks: [] },
    mirror: {},
    acting: [],
    acted: [],
    canGoBack: ["engine"],
    useless: [],
    again: false,
    ...over,
  };
}

/** A watcher that looks every two seconds; its state goes through JSON each time, as it does on disk. */
export class Watching {
  state: WatchState | undefined;
  uptime = 100_000;
  asleep = 0;
  readonly decisions: Decision[] = [];

  look(over: Partial<Look> = {}, after = TICK): Decision {
    this.uptime += after;
    const first = this.state === undefined;
    const look = lookAt(this.uptime, { first, ...over });
    const moment = { ...look.moment, asleep: over.moment?.asleep ?? this.asleep };
    const made = decide(this.state, { ...look, moment }, "phantom");
    this.decisions.push(made);
    this.state = JSON.parse(JSON.stringify(made.state)) as WatchState;
    return made;
  }

  /** Looks until `ms` have passed. */
  for(ms: number, over: Partial<Look> = {}): readonly Decision[] {
    return Array.from({ length: Math.ceil(ms / TICK) }, () => this.look(over));
  }
}

/** The engine as given, the gateway up. */
export function engine(look: ServiceLook): Pick<Look, "services"> {
  return { services: { engine: look, gateway: { state: "up" } } };
}
export const DOWN: ServiceLook = { state: "down", why: "it was killed" };

/** Any state of a service. */
export const anyService: fc.Arbitrary<ServiceLook> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(DOWN) },
  fc
    .constantFrom("engine-died", "lock-damaged", "nobody-knows")
    .map((cause): ServiceLook => ({ state: "down", why: "it failed", cause })),
  { weight: 2, arbitrary: fc.constant<ServiceLook>({ state: "up" }) },
  fc.constant<ServiceLook>({ state: "starting" }),
  fc.constant<ServiceLook>({ state: "stopped", why: "by hand" }),
  fc.constant<ServiceLook>({ state: "unknown", why: "nobody tells" }),
  fc.constant<ServiceLook>({ state: "absent" }),
);
