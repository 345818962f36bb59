/** Whatever a host goes through, the watcher's acts are few, in order, and none is made in the wrong state. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { MOST_TRIES, SLOW_FOR } from "../../lib/watch/governor.ts";
import { MOST_IN_WINDOW, waitAfter, WELL, WINDOW } from "../../lib/watch/backoff.ts";
import { RETELL } from "../../lib/watch/alerts.ts";
import { decide } from "../../lib/watch/decide.ts";
import type { Deed } from "../../lib/watch/ladder.ts";
import type { Look, ServiceLook } from "../../lib/watch/look.ts";
import { CALM } from "../../lib/watch/power.ts";
import { parseWatch, TARGETS, type Target, type WatchState } from "../../lib/watch/state.ts";
import { anyService, BOOT, lookAt, TICK } from "./looks.ts";

/** Many lives of up to some hours each: on a busy machine that takes a while. Milliseconds. */
const LIMIT = 60_000;

/** A stretch of a host's life: how it is for how long, and what happens at its beginning. */
interface Stretch {
  readonly event: "nothing" | "watcher restarts" | "reboot" | "suspend" | "clock set" | "again";
  readonly engine: ServiceLook;
  readonly gateway: ServiceLook;
  readonly canGoBack: readonly Target[];
  readonly governor: string;
  readonly onBattery: boolean;
  readonly looks: number;
  readonly gap: number;
}
const life: fc.Arbitrary<readonly Stretch[]> = fc.array(
  fc.record({
    event: fc.oneof(
      { weight: 6, arbitrary: fc.constant("nothing" as const) },
      fc.constantFrom<Stretch["event"]>(
        "watcher restarts",
        "reboot",
        "suspend",
        "clock set",
        "again",
      ),
    ),
    engine: anyService,
    gateway: anyService,
    canGoBack: fc.subarray([...TARGETS]),
    governor: fc.constantFrom("performance", "powersave"),
    onBattery: fc.boolean(),
    looks: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 900 })),
    gap: fc.integer({ min: TICK, max: 40_000_000 }),
  }),
  { minLength: 1, maxLength: 30 },
);

interface Seen {
  readonly deed: Deed;
  /** Real milliseconds since the beginning. */
  readonly real: number;
  readonly watched: number;
  readonly look: Look;
  readonly before: WatchState | undefined;
}

/** Lives a life; calls `each` with every decision. */
function live(
  stretches: readonly Stretch[],
  each: (made: ReturnType<typeof decide>, look: Look, real: number, last?: WatchState) => void,
): void {
  let state: WatchState | undefined;
  let [real, uptime, wall, boots, asleep] = [0, 50_000, Date.parse("2026-05-01T10:00:00Z"), 0, 0];
  for (const { event, looks, gap, canGoBack, governor, onBattery, ...services } of stretches) {
    for (let i = 0; i < looks; i++) {
      const begins = i === 0;
      const passed = begins && event !== "nothing" && event !== "again" ? gap : TICK;
      real += passed;
      uptime += passed;
      wall += passed;
      if (begins && event === "reboot") [uptime, boots, asleep] = [5000, boots + 1, 0];
      if (begins && event === "suspend") asleep += gap;
      if (begins && event === "clock set") wall += gap - 20_000_000;
      const look = lookAt(uptime, {
        moment: { now: wall, uptime, asleep, boot: `${BOOT}${boots}` },
        first:
          state === undefined || (begins && (event === "reboot" || event === "watcher restarts")),
        again: begins && event === "again",
        services,
        canGoBack,
        host: { gpus: [], slowLinks: [], governor, onBattery },
      });
      const made = decide(state, look, "phantom");
      each(made, look, real, state);
      state = JSON.parse(JSON.stringify(made.state)) as WatchState;
    }
  }
}

function deedsOf(stretches: readonly Stretch[]): readonly Seen[] {
  const seen: Seen[] = [];
  live(stretches, ({ deeds, state }, look, real, before) => {
    for (const deed of deeds) {
      seen.push({ deed, real, watched: state.memory.watched, look, before });
    }
  });
  return seen;
}

/** The ladder's acts on a service. */
const of = (seen: readonly Seen[], target: Target) =>
  seen.filter(({ deed }) => deed.target === target && deed.rung !== "governor");

test(
  "no storm: in any hour, watched or real, no service is acted on more often than the bound",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        const seen = deedsOf(stretches);
        for (const target of TARGETS) {
          const acts = of(seen, target);
          for (const clock of ["real", "watched"] as const) {
            for (const [at, one] of acts.entries()) {
              const within = acts.slice(at).filter((two) => two[clock] - one[clock] < WINDOW);
              expect(within.length).toBeLessThanOrEqual(MOST_IN_WINDOW);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "between two acts on one service lies the wait of the first, unless the operator asked to try again",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        const seen = deedsOf(stretches.filter(({ event }) => event !== "again"));
        for (const target of TARGETS) {
          const acts = of(seen, target);
          for (const [at, one] of acts.entries()) {
            const next = acts[at + 1];
            if (next)
              expect(next.watched - one.watched).toBeGreaterThanOrEqual(
                waitAfter(one.deed.attempt),
              );
          }
        }
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "only what is down is acted on, and nothing right after a boot or a suspend",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        let woke = Number.NEGATIVE_INFINITY;
        live(stretches, ({ deeds, state }, look, _real, before) => {
          const slept =
            before !== undefined &&
            (before.boot !== look.moment.boot || look.moment.asleep > (before.memory?.asleep ?? 0));
          if (slept) woke = state.memory.watched;
          for (const { target } of deeds.filter(({ rung }) => rung !== "governor")) {
            const service = look.services[target];
            // one that has been starting for too long counts as down, too
            expect(["down", "starting"]).toContain(service.state);
            if (service.state === "starting") expect(state[target].state).toBe("down");
            expect(state.memory.watched - woke).toBeGreaterThanOrEqual(CALM.resume);
          }
        });
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "the rungs are climbed upwards, and what was given up is left alone until it is well or the operator says so",
  () => {
    const height = { restart: 0, fix: 1, previous: 2, governor: 3 } as const;
    fc.assert(
      fc.property(life, (stretches) => {
        const reached: Record<Target, number> = { engine: 0, gateway: 0 };
        const well: Record<Target, number> = { engine: 0, gateway: 0 };
        live(stretches, ({ deeds, state }, look, _real, before) => {
          for (const target of TARGETS) {
            if (look.again || state.memory.rungs[target].tries === 0) reached[target] = 0;
            well[target] = look.services[target].state === "up" ? well[target] + 1 : 0;
            const deed = deeds.find((one) => one.target === target && one.rung !== "governor");
            const halted = before?.halted.some((one) => one.id === target) === true;
            if (halted && !look.again) {
              expect(deed).toBeUndefined();
              const lifted = !state.halted.some((one) => one.id === target);
              if (lifted) expect(well[target] * TICK).toBeGreaterThanOrEqual(WELL);
            }
            if (!deed) continue;
            expect(height[deed.rung]).toBeGreaterThanOrEqual(reached[target]);
            reached[target] = height[deed.rung];
            if (deed.rung === "previous") expect(look.canGoBack).toContain(target);
          }
        });
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "the governor is set only for an engine that serves on mains, and seldom, whatever sets it back",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        const acts: { readonly real: number; readonly watched: number }[] = [];
        let tries = 0;
        live(stretches, ({ deeds, state }, look, real) => {
          const kept = state.memory.governor?.tries ?? 0;
          if (look.again) tries = 0;
          tries = Math.min(tries, kept);
          const deed = deeds.find(({ rung }) => rung === "governor");
          if (!deed) return;
          const { watched } = state.memory;
          expect([state.engine.state, look.host.governor, look.host.onBattery]).toEqual([
            "up",
            "powersave",
            false,
          ]);
          expect(watched).toBeGreaterThanOrEqual(state.memory.calmUntil);
          expect(++tries).toBeLessThanOrEqual(MOST_TRIES);
          if (!look.again && deed.attempt > 1) {
            expect(watched - (acts.at(-1)?.watched ?? 0)).toBeGreaterThanOrEqual(SLOW_FOR);
          }
          acts.push({ real, watched });
        });
        for (const clock of ["real", "watched"] as const) {
          for (const [at, one] of acts.entries()) {
            const within = acts.slice(at).filter((two) => two[clock] - one[clock] < WINDOW);
            expect(within.length).toBeLessThanOrEqual(MOST_IN_WINDOW);
          }
        }
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "the person is not flooded: each alert at most once in half an hour, and twice more where it grew graver",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        const told = new Map<string, number[]>();
        live(stretches, ({ notices, state }) => {
          for (const { alert, because } of notices) {
            expect(alert.level).not.toBe("info");
            const times = told.get(alert.id) ?? [];
            if (because === "again") {
              expect(state.memory.watched - (times.at(-1) ?? 0)).toBeGreaterThanOrEqual(RETELL);
            }
            told.set(alert.id, [...times, state.memory.watched]);
          }
        });
        for (const times of told.values()) {
          for (const one of times) {
            const within = times.filter((two) => two >= one && two - one < RETELL);
            expect(within.length).toBeLessThanOrEqual(3);
          }
        }
      }),
      { numRuns: 60 },
    );
  },
  LIMIT,
);

test(
  "what is decided is a document that can be read back, however long it goes on",
  () => {
    fc.assert(
      fc.property(life, (stretches) => {
        let last: WatchState | undefined;
        live(stretches, ({ state }) => {
          last = state;
        });
        const back: unknown = JSON.parse(JSON.stringify(last));
        expect(parseWatch(back)).toEqual(JSON.parse(JSON.stringify(last)));
        expect(JSON.stringify(last).length).toBeLessThan(20_000);
      }),
      { numRuns: 40 },
    );
  },
  LIMIT,
);
