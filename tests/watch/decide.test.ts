/** The watcher's judgement, case by case. */
import { expect, test } from "bun:test";
import { WELL } from "../../lib/watch/backoff.ts";
import type { PeerLook } from "../../lib/watch/look.ts";
import { type Decision, deedText } from "../../lib/watch/decide.ts";
import type { Deed } from "../../lib/watch/ladder.ts";
import { parseWatch, type WatchState } from "../../lib/watch/state.ts";
import { DOWN, engine, lookAt, TICK, Watching } from "./looks.ts";

const MINUTE = 60_000;
const rungs = (made: readonly Decision[]) =>
  made.flatMap(({ deeds }) => deeds.map(({ rung, fix }) => fix ?? rung));

/** A watcher that has seen its host well for a while. */
function settled(): Watching {
  const watching = new Watching();
  watching.for(MINUTE);
  return watching;
}

test("a dead engine is restarted at the first look", () => {
  const watching = settled();
  expect(watching.look(engine(DOWN)).deeds).toMatchObject([
    { target: "engine", rung: "restart", attempt: 1, why: "it was killed" },
  ]);
});

test("one that never comes back: three restarts, the last good generation, then it is given up with the reason", () => {
  const watching = settled();
  expect(rungs(watching.for(20 * MINUTE, engine(DOWN)))).toEqual([
    "restart",
    "restart",
    "restart",
    "previous",
  ]);
  expect(watching.state?.halted).toMatchObject([
    {
      id: "engine",
      why: "it was killed. 3 restarts and going back to the last good generation did not help",
    },
  ]);
  expect(watching.state?.alerts[0]).toMatchObject({ id: "engine-halted", level: "fail" });
  expect(rungs(watching.for(120 * MINUTE, engine(DOWN)))).toEqual([]);
});

test("a cause with a known fix is restarted once and then fixed; one that has no generation behind it is given up after that", () => {
  const watching = settled();
  const sick = engine({ state: "down", why: "its lock is damaged", cause: "lock-damaged" });
  expect(rungs(watching.for(20 * MINUTE, { ...sick, canGoBack: [] }))).toEqual([
    "restart",
    "lock-aside",
  ]);
  expect(watching.state?.halted[0]?.why).toContain("the known fix lock-aside did not help");
  expect(watching.state?.alerts[0]?.fix).toEqual(["./bin/00_check_structure", "--plan"]);
});

test("a gateway that never comes back: three restarts, the release before, and it is given up only after that", () => {
  const sick = { services: { engine: { state: "up" }, gateway: DOWN } } as const;
  const watching = settled();
  const made = watching.for(20 * MINUTE, { ...sick, canGoBack: ["gateway"] });
  expect(rungs(made)).toEqual(["restart", "restart", "restart", "previous"]);
  const last = made.flatMap(({ deeds }) => deeds).at(-1) as Deed;
  expect(deedText(last)).toBe(
    "go back to the release before, gateway and watcher, because it was killed",
  );
  expect(watching.state?.halted[0]?.why).toEndWith("going back to the release before did not help");
  const alone = settled();
  expect(rungs(alone.for(20 * MINUTE, { ...sick, canGoBack: ["engine"] }))).toEqual([
    "restart",
    "restart",
    "restart",
  ]);
  expect(alone.state?.halted).toHaveLength(1);
});

test("a release that was given up is said, with who serves and the command that brings it back, until it is back", () => {
  const watching = settled();
  const gaveUp = { release: "bbbb", serving: "aaaa", fix: ["sudo", "./bin/06_shadow_control"] };
  const [made] = watching.for(TICK, { gaveUp });
  expect(made?.notices).toMatchObject([
    { alert: { id: "release", level: "warn" }, because: "new" },
  ]);
  expect(made?.state.alerts).toMatchObject([
    { what: expect.stringContaining("release aaaa serves"), fix: gaveUp.fix },
  ]);
  watching.for(MINUTE);
  expect(watching.state?.alerts).toEqual([]);
});

test("ten minutes of health forget what was tried; nine do not", () => {
  for (const [pause, attempt] of [
    [9 * MINUTE, 2],
    [WELL + 2000, 1],
  ] as const) {
    const watching = settled();
    watching.look(engine(DOWN));
    watching.for(pause);
    expect(watching.look(engine(DOWN)).deeds).toMatchObject([{ attempt }]);
  }
});

test("the counter survives a restart of the watcher and of the host", () => {
  const watching = settled();
  watching.for(MINUTE, engine(DOWN));
  expect(watching.state?.engine.restarts).toBe(3);
  const now = Date.parse("2026-05-02T00:00:00Z");
  const moment = { now, uptime: 4000, asleep: 0, boot: "another" };
  watching.uptime = 4000;
  watching.look({ ...engine(DOWN), moment, first: true });
  const after = Array.from({ length: 200 }, (_, i) =>
    watching.look({
      ...engine(DOWN),
      moment: { ...moment, now: moment.now + i * 2000, uptime: 6000 + i * 2000 },
    }),
  );
  expect(rungs(after)).toEqual(["previous"]);
});

test("nothing is begun while an act is under way, however long that takes", () => {
  const watching = settled();
  watching.look(engine(DOWN));
  const acting = { ...engine(DOWN), acting: ["engine"] } as const;
  expect(rungs(watching.for(4 * MINUTE, acting))).toEqual([]);
  expect(rungs([watching.look(engine(DOWN))])).toEqual(["restart"]);
});

test("a watcher that is new on a host that has long been up does not wait as it does after a boot", () => {
  const watching = new Watching();
  watching.uptime = 1_000_000;
  expect(rungs(watching.for(10_000, engine(DOWN)))).toEqual(["restart"]);
});

test("a peak of half a minute is no alert", () => {
  const watching = settled();
  watching.for(MINUTE / 2, { host: { gpus: [], slowLinks: [], celsius: 100 } });
  expect(watching.state?.alerts).toEqual([]);
});

test("an hour of suspend is no hour of being down, and nothing is judged right after it", () => {
  const watching = settled();
  const peer: PeerLook = { name: "shadow", answers: true };
  watching.for(MINUTE, { peers: [peer] });
  const gone = { ...engine(DOWN), peers: [{ ...peer, answers: false, why: "silent" }] };
  watching.asleep = 3_600_000;
  const woke = watching.look(gone, 3_600_000);
  expect(woke.deeds).toEqual([]);
  expect(woke.state.power.resumedAt).toBe(woke.state.at);
  expect(woke.state.peer?.state).toBe("up");
  expect(rungs(watching.for(16_000, gone))).toEqual([]);
  expect(rungs(watching.for(10_000, gone))).toEqual(["restart"]);
});

test("a watcher that was stopped does not take its own absence for a suspend, nor for time in which something was down", () => {
  const watching = settled();
  const before = watching.state?.memory?.watched ?? 0;
  const { deeds, state } = watching.look(engine(DOWN), 60_000);
  expect(state.power.resumedAt).toBeUndefined();
  expect(state.memory.watched - before).toBeLessThanOrEqual(5000);
  expect(deeds).toEqual([]);
});

test("what the operator stopped stays stopped, and is said without alarm", () => {
  const watching = settled();
  const made = watching.for(MINUTE, engine({ state: "stopped", why: "it was stopped by hand" }));
  expect(rungs(made)).toEqual([]);
  expect(made.flatMap(({ notices }) => notices)).toEqual([]);
  expect(watching.state?.alerts).toMatchObject([
    {
      id: "engine-stopped",
      level: "info",
      fix: ["sudo", "systemctl", "start", "shelter-engine.service"],
    },
  ]);
});

test("what was given up is tried again when the operator says so, within the hour's bound", () => {
  const watching = settled();
  watching.for(20 * MINUTE, engine(DOWN));
  expect(watching.state?.halted).toHaveLength(1);
  expect(watching.look({ ...engine(DOWN), again: true }).deeds).toMatchObject([{ attempt: 1 }]);
  const after = rungs(watching.for(30 * MINUTE, engine(DOWN)));
  expect(after).toEqual(["restart", "restart", "previous"]);
  watching.look({ ...engine(DOWN), again: true });
  expect(rungs(watching.for(5 * MINUTE, engine(DOWN)))).toEqual([]);
  expect(watching.state?.alerts[0]).toMatchObject({ id: "engine-too-often", level: "fail" });
});

test("the same thing repeating grows graver, and the person hears of it", () => {
  const watching = settled();
  const heard: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    for (const { notices } of watching.for(5 * MINUTE, {
      host: { gpus: [], slowLinks: [], celsius: 95 },
    })) {
      heard.push(
        ...notices.map(({ alert, because }) => `${alert.level} ${because} ${alert.count}`),
      );
    }
    watching.for(5 * MINUTE);
  }
  expect(heard).toEqual(["warn new 1", "fail graver 3"]);
});

test("an alert ends when its cause has been gone for half a minute, not at the first good look", () => {
  const watching = settled();
  watching.for(2 * MINUTE, { host: { gpus: [], slowLinks: [], celsius: 95 } });
  expect(watching.state?.alerts).toHaveLength(1);
  watching.for(20_000);
  expect(watching.state?.alerts).toHaveLength(1);
  watching.for(20_000);
  expect(watching.state?.alerts).toHaveLength(0);
});

test("a peer that is silent for three quarters of a minute is down; one whose lid was closed sleeps", () => {
  for (const [lid, level, words] of [
    ["open", "warn", "does not answer: unreachable"],
    ["closed", "info", "it sleeps"],
  ] as const) {
    const watching = settled();
    const heard = { ...watching.state, host: "shadow", power: { lid } } as WatchState;
    const peer = { name: "shadow", heard };
    watching.look({ peers: [{ ...peer, answers: true }] });
    const silent = { peers: [{ ...peer, answers: false, why: "unreachable" }] };
    watching.for(40_000, silent);
    expect(watching.state?.peer?.state).toBe("up");
    watching.for(10_000, silent);
    expect(watching.state?.peer).toMatchObject({ state: "down", lastSeen: expect.any(String) });
    expect(watching.state?.alerts).toMatchObject([{ id: "peer-down.shadow", level }]);
    expect(watching.state?.alerts[0]?.what).toContain(words);
  }
});

test("a clock that is an hour off is an alert, and says whose it is where that is known", () => {
  const watching = settled();
  const peers = [{ name: "shadow", answers: true, clockOff: 3_600_000 }];
  watching.look({ peers });
  expect(watching.state?.alerts).toMatchObject([{ id: "peer-clock.shadow", level: "fail" }]);
  expect(watching.state?.alerts[0]?.what).toContain("1 h 00 min ahead of this host's");
  watching.look({ peers, host: { gpus: [], slowLinks: [], clockSynced: true } });
  expect(watching.state?.alerts[0]?.what).toContain("so shadow's is wrong");
});

test("a peer whose watcher is silent is named; one that has none is not", () => {
  const watching = settled();
  watching.look({ peers: [{ name: "shadow", answers: true }] });
  expect(watching.state?.alerts).toEqual([]);
  watching.look({ peers: [{ name: "shadow", answers: true, watcherAge: 100_000 }] });
  expect(watching.state?.alerts).toMatchObject([{ id: "peer-watcher.shadow", level: "warn" }]);
});

test("a host that lives without its gateway, or with another key, is told of and is not down", () => {
  const watching = settled();
  const trouble = { id: "host-key-changed", what: "asking", why: "another host key", fix: ["x"] };
  const peer = { name: "shadow", answers: true, gatewayFails: "its certificate has expired" };
  watching.for(2 * MINUTE, { peers: [{ ...peer, trouble }] });
  expect(watching.state?.peer?.state).toBe("up");
  expect(watching.state?.alerts).toMatchObject([
    { id: "peer-gateway.shadow", fix: ["./bin/shelter", "pair", "shadow", "--renew"] },
    { id: "peer-trouble.shadow", fix: ["x"] },
  ]);
  const early = { ...peer, gatewayFails: "its certificate is not valid yet: a clock is wrong" };
  watching.for(2 * MINUTE, { peers: [{ ...early, clockOff: 3_600_000 }] });
  expect(watching.state?.alerts.find((one) => one.id === "peer-gateway.shadow")).toMatchObject({
    what: expect.stringContaining("not valid yet") as string,
    fix: ["sudo", "timedatectl", "set-ntp", "true"],
  });
});

test("a watcher that was stopped in order is named at once by the peer", () => {
  const watching = settled();
  const ended = "2026-05-01T10:00:00.000Z";
  const heard = { ...watching.state, host: "shadow", ended } as WatchState;
  watching.look({ peers: [{ name: "shadow", answers: true, heard, watcherAge: 1000 }] });
  expect(watching.state?.alerts[0]?.what).toContain(`was stopped at ${ended}`);
});

test("every further host is watched alike", () => {
  const watching = settled();
  const names = ["shadow", "third", "fourth"];
  watching.look({ peers: names.map((name) => ({ name, answers: true })) });
  const { peer, others } = watching.state ?? {};
  expect([peer, ...(others ?? [])].map((one) => one?.name)).toEqual(names);
});

test("an engine that starts for eleven minutes is down", () => {
  const watching = settled();
  expect(rungs(watching.for(9.9 * MINUTE, engine({ state: "starting" })))).toEqual([]);
  expect(rungs(watching.for(MINUTE, engine({ state: "starting" })))).toEqual(["restart"]);
});

const GIB = 2 ** 30;
test.each([
  ["disk", { disk: { free: GIB, total: 100 * GIB, inodes: 0, inodesFree: 0, readOnly: false } }],
  [
    "disk",
    { disk: { free: 50 * GIB, total: 100 * GIB, inodes: 0, inodesFree: 0, readOnly: true } },
  ],
  [
    "disk",
    { disk: { free: 50 * GIB, total: 100 * GIB, inodes: 1000, inodesFree: 20, readOnly: false } },
  ],
  ["memory", { memory: { available: GIB / 4, total: 8 * GIB } }],
  ["vram", { gpus: [{ name: "a card", vram: 4 * GIB, vramUsed: 4 * GIB }] }],
  ["gpu-heat", { gpus: [{ name: "a card", celsius: 90 }] }],
  ["heat", { celsius: 100 }],
  ["pcie-link", { slowLinks: ["the card at 0000:01:00.0 runs at Gen1 x16"] }],
] as const)("%s beyond its limit is an alert, and a healthy one is none", (id, over) => {
  const watching = settled();
  expect(watching.state?.alerts).toEqual([]);
  watching.for(2 * MINUTE, { host: { gpus: [], slowLinks: [], ...over } });
  expect(watching.state?.alerts.map((one) => one.id)).toEqual([id]);
});

test("throttling is what came since the last look", () => {
  const watching = settled();
  const at = (throttled: number) => ({ host: { gpus: [], slowLinks: [], throttled } });
  watching.for(2 * MINUTE, at(1000));
  expect(watching.state?.alerts).toEqual([]);
  for (let i = 0; i < 60; i++) watching.look(at(1000 + i));
  expect(watching.state?.alerts).toMatchObject([{ id: "throttling" }]);
});

test("a mirror that is overdue is an alert", () => {
  const watching = settled();
  const { now } = lookAt(watching.uptime).moment;
  watching.look({ mirror: { at: now - 1000, due: 10_000 } });
  expect(watching.state).toMatchObject({ alerts: [], mirror: { ageMs: expect.any(Number) } });
  watching.look({ mirror: { at: now - 20_000, due: 10_000 } });
  expect(watching.state?.alerts).toMatchObject([{ id: "mirror", level: "warn" }]);
});

test("battery, lid and governor are said and are no alert", () => {
  const watching = settled();
  const host = { gpus: [], slowLinks: [], onBattery: true, lid: "closed", governor: "powersave" };
  watching.look({ host } as Parameters<Watching["look"]>[0]);
  expect(watching.state?.alerts).toEqual([]);
  expect(watching.state?.power).toEqual({ onBattery: true, lid: "closed" });
  expect(watching.state?.health.map(({ id, level }) => `${id} ${level}`)).toEqual([
    "governor ok",
    "battery info",
    "lid info",
  ]);
});

test("a document that is no watcher's is named as damaged", () => {
  const whole = JSON.parse(JSON.stringify(settled().state)) as Record<string, unknown>;
  expect("damaged" in parseWatch(whole)).toBe(false);
  const bad: Record<string, unknown> = {
    schema: 2,
    at: "yesterday",
    host: 7,
    engine: { state: "fine" },
    gateway: null,
    peer: { name: "--flag", state: "up", since: whole["at"] },
    others: "none",
    mirror: { at: "x" },
    power: { lid: "ajar" },
    health: [{ id: "disk", level: "bad", what: "" }],
    alerts: [{ id: "a", level: "warn", since: whole["at"], count: -1, what: "" }],
    halted: [{ id: "kernel", why: "", since: whole["at"] }],
  };
  for (const [key, value] of Object.entries(bad)) {
    expect({ key, damaged: "damaged" in parseWatch({ ...whole, [key]: value }) }).toEqual({
      key,
      damaged: true,
    });
  }
  for (const value of [null, 1, "x", []]) expect("damaged" in parseWatch(value)).toBe(true);
});
