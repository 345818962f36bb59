/** The watcher as it runs: against a real gateway's address, a real engine's, a paired host behind TLS, and root's socket. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { readJournal } from "../../lib/keep/journal.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { ACT_SOCKET } from "../../lib/services/verbs.ts";
import type { CallContext } from "../../lib/unit.ts";
import { runWatcher } from "../../lib/watch/run.ts";
import { readWatch, type WatchState } from "../../lib/watch/state.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { watchedHome, type WatchedHome } from "../support/watched_home.ts";

setDefaultTimeout(60_000);

const HOST = "here";
let folder: string;
let world: FakeWorld;
let watched: WatchedHome;
let unit: Record<"engine" | "gateway", string>;
let root: { readonly asked: string[]; answer: string; stop(): void };
/** Milliseconds since boot: moves by two seconds with each look. */
let uptime: number;
const running: { readonly controller: AbortController; readonly done: Promise<void> }[] = [];

const FAILED = "LoadState=loaded\nActiveState=failed\nResult=signal\nExecMainStatus=9\n";
const ACTIVE = "LoadState=loaded\nActiveState=active\n";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "shelter-watch-"));
  unit = { engine: ACTIVE, gateway: ACTIVE };
  uptime = 1_000_000;
  world = fakeMachine({
    files: {
      "/run": { folder: true },
      "/etc/systemd/system/shelter-engine.service":
        "[Service]\nExecStart=/x engine run --build b-0123456789ab --before b-ba9876543210\n",
    },
    fetch: (url, init) => fetch(url, init),
    programs: {
      systemctl: (argv) => ({
        stdout: unit[argv.at(-1) === "shelter-engine.service" ? "engine" : "gateway"],
      }),
      [basename(process.execPath)]: () => ({ code: 0 }), // 00_check_structure
      ssh: () => ({ code: 255, stderr: "connect: refused" }),
    },
  });
  watched = watchedHome(folder, world.path(FAKE_HOME), FAKE_HOME);
  const asked: string[] = [];
  const server = Bun.listen({
    unix: world.path(ACT_SOCKET),
    socket: {
      data(socket, data) {
        asked.push(data.toString().trim());
        socket.end(`${root.answer}\n`);
      },
    },
  });
  root = { asked, answer: "ok", stop: () => server.stop(true) };
});
afterEach(async () => {
  for (const { controller, done } of running.splice(0)) {
    controller.abort(new Error("over"));
    await done;
  }
  watched.stop();
  root.stop();
  world.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const eyes = () => createProbe(world.machine, FAKE_HOME, HOST);
const lines: string[] = [];

/** Starts a watcher that looks every few milliseconds; `told` is what systemd hears. */
function start(): { readonly told: string[]; stop(): Promise<void> } {
  const told: string[] = [];
  const controller = new AbortController();
  const probe = eyes();
  const nothing = () => undefined;
  lines.length = 0;
  const context: CallContext = {
    probe,
    act: createAct(world.machine, probe),
    signal: controller.signal,
    say: {
      line: (text) => void lines.push(text),
      detail: nothing,
      progress: nothing,
      stream: nothing,
    },
  };
  const notifier = {
    every: undefined,
    ready: () => void told.push("ready"),
    status: nothing,
    alive: () => {
      uptime += 2000;
      told.push("alive");
    },
    stopping: () => void told.push("stopping"),
  };
  const options = { uptime: () => ({ uptime, asleep: 0 }), tick: 2 };
  const done = runWatcher(context, notifier, options);
  running.push({ controller, done: done.catch(() => undefined) });
  return {
    told,
    async stop() {
      controller.abort(new Error("told to stop"));
      await done;
    },
  };
}

/** The state on disk, once it is as wanted. */
async function state(holds: (state: WatchState) => boolean): Promise<WatchState> {
  let last: ReturnType<typeof readWatch>;
  for (const end = performance.now() + 20_000; performance.now() < end; await Bun.sleep(5)) {
    last = readWatch(eyes());
    if (last && !("damaged" in last) && holds(last)) return last;
  }
  throw new Error(`never so; last: ${JSON.stringify(last)}\n${lines.join("\n")}`);
}
async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await Bun.sleep(5)) {
    if (performance.now() > end) throw new Error("never so");
  }
}
const calm = (one: WatchState) => (one.memory?.watched ?? 0) > (one.memory?.calmUntil ?? 0);

test("a healthy host: up, with its peer, no alert, no act, systemd told of life", async () => {
  const { told } = start();
  const seen = await state((one) => calm(one) && one.peer?.state === "up");
  expect(seen).toMatchObject({
    host: HOST,
    engine: { state: "up", restarts: 0 },
    gateway: { state: "up" },
    peer: { name: "there", state: "up" },
    halted: [],
  });
  expect(seen.alerts.filter((one) => one.level !== "info")).toEqual([]);
  expect(told[0]).toBe("ready");
  expect(told.filter((one) => one === "alive").length).toBeGreaterThan(5);
  expect(root.asked).toEqual([]);
  expect(world.started.filter(([name]) => name === "systemctl")).toEqual([]);
});

test("a killed engine is restarted through root, and the journal has the act", async () => {
  start();
  await state(calm);
  unit.engine = FAILED;
  watched.answers.engine = "down";
  watched.answers.health = 500;
  await state((one) => one.engine.restarts > 0);
  unit.engine = ACTIVE;
  watched.answers.engine = "up";
  await state((one) => one.engine.state === "up");
  const entries = () => readJournal(eyes()).filter((one) => one.script === "06_shelter_watch");
  await until(() => entries().length === 2);
  expect(root.asked).toEqual(["restart-engine"]);
  const acts = entries();
  expect(acts.map(({ kind }) => kind)).toEqual(["begin", "end"]);
  expect(acts[0]).toMatchObject({
    steps: [{ text: "restart the engine, because it was ended by signal 9" }],
  });
  expect(acts[1]).toMatchObject({ outcome: "changed", flag: "watch_acted", steps: 0 });
});

test("an engine that nothing cures: every rung once, then halt; root's refusal is said", async () => {
  start();
  await state(calm);
  unit.engine = FAILED;
  watched.answers.engine = "down";
  watched.answers.health = 500;
  root.answer = "there is no such unit";
  const seen = await state((one) => one.halted.length > 0);
  expect(root.asked).toEqual([
    "restart-engine",
    "restart-engine",
    "restart-engine",
    "previous-engine",
  ]);
  expect(seen.halted[0]?.why).toContain("3 restarts and going back to the last good generation");
  const ends = readJournal(eyes()).filter((one) => one.kind === "end");
  expect(ends).toHaveLength(4);
  expect(ends[0]).toMatchObject({ outcome: "blocked", because: "root-refused" });
});

test("a watcher that is killed and started anew goes on where it was, also on another boot", async () => {
  const first = start();
  await state(calm);
  unit.engine = FAILED;
  watched.answers.engine = "down";
  watched.answers.health = 500;
  await state((one) => one.engine.restarts === 2);
  await first.stop();
  const before = root.asked.length;
  world.write("/proc/sys/kernel/random/boot_id", "99999999-2222-3333-4444-555555555555\n");
  uptime = 3000;
  start();
  await state((one) => one.halted.length > 0);
  expect(root.asked.slice(before).slice(-2)).toEqual(["restart-engine", "previous-engine"]);
  expect(root.asked).toHaveLength(4);
});

test("an engine that the gateway does not believe yet, but that answers, is up", async () => {
  watched.answers.engine = "down";
  start();
  await state((one) => calm(one) && one.engine.state === "up");
  expect(watched.asked.tokens).toBeGreaterThan(0);
  expect(root.asked).toEqual([]);
});

test("one that says it is healthy and answers nothing is wedged, and restarted", async () => {
  watched.answers.engine = "down";
  watched.answers.tokens = false;
  start();
  await state((one) => one.engine.restarts > 0);
  await until(() => root.asked.length > 0);
  expect(root.asked[0]).toBe("restart-engine");
});

test("an engine whose health fails twice in a row is not touched: a machine may be drowned for a moment", async () => {
  start();
  await state(calm);
  watched.answers.failing = 2;
  watched.answers.engine = "down";
  await until(() => watched.answers.failing === 0);
  const { memory } = await state(() => true);
  await state((one) => (one.memory?.watched ?? 0) > (memory?.watched ?? 0) + 30_000);
  expect(root.asked).toEqual([]);
});

test("a dead gateway is restarted, and the engine is judged without it", async () => {
  start();
  await state(calm);
  watched.answers.gateway = false;
  unit.gateway = FAILED;
  const seen = await state((one) => one.gateway.restarts > 0);
  expect(seen.engine.state).toBe("up");
  await until(() => root.asked.length > 0);
  expect(root.asked).toEqual(["restart-gateway"]);
});

test("what systemctl stopped is left alone", async () => {
  watched.answers.engine = "down";
  watched.answers.health = 500;
  unit.engine =
    "LoadState=loaded\nActiveState=inactive\nResult=success\nUnitFileState=enabled\nExecMainStartTimestampMonotonic=12\n";
  start();
  const seen = await state((one) => calm(one) && one.alerts.length > 0);
  expect(seen.engine).toMatchObject({ state: "stopped" });
  expect(root.asked).toEqual([]);
});

test("a peer that is gone is down after three quarters of a minute", async () => {
  start();
  await state((one) => one.peer?.state === "up");
  watched.stop();
  const seen = await state((one) => one.peer?.state === "down");
  expect(seen.alerts).toContainEqual(
    expect.objectContaining({ id: "peer-down.there", level: "warn" }),
  );
});

test("a home that takes no writing: nothing is done, and that is said once", async () => {
  const first = start();
  await state(calm);
  await first.stop();
  world.remove(`${FAKE_HOME}/runtime/state`);
  world.write(`${FAKE_HOME}/runtime/state`, "a file in its place");
  unit.engine = FAILED;
  watched.answers.engine = "down";
  watched.answers.health = 500;
  const { told } = start();
  await until(() => told.length > 100);
  expect(root.asked).toEqual([]);
  expect(lines.filter((line) => line.includes("can't be written"))).toHaveLength(1);
});

test("two watchers in one home: the second says whose it is", async () => {
  start();
  await state(calm);
  const probe = eyes();
  const context = { probe, act: createAct(world.machine, probe) } as unknown as CallContext;
  await expect(runWatcher(context, {} as never)).rejects.toMatchObject({ id: "locked" });
});

test("told to stop it says so to systemd and in its state; a damaged state is set aside by the next", async () => {
  const watcher = start();
  const { told } = watcher;
  await state(calm);
  await watcher.stop();
  expect(told.at(-1)).toBe("stopping");
  expect((await state(() => true)).ended).toBeDefined();
  start();
  expect((await state((one) => one.ended === undefined)).ended).toBeUndefined();
  for (const { controller, done } of running.splice(0)) {
    controller.abort(new Error("over"));
    await done;
  }
  world.write(`${FAKE_HOME}/runtime/state/watch.json`, '{"schema": 1, "host"');
  start();
  await state(calm);
  expect(eyes().list(`${FAKE_HOME}/runtime/state`).join(" ")).toMatch(/watch\.json\.damaged-/);
});

test("a memory that is none is forgotten, and the watcher watches", async () => {
  const watcher = start();
  const before = await state(calm);
  await watcher.stop();
  const memory = { ...before.memory, watched: "long", rungs: null };
  world.write(`${FAKE_HOME}/runtime/state/watch.json`, JSON.stringify({ ...before, memory }));
  start();
  const after = await state((one) => one.ended === undefined && calm(one));
  expect(typeof after.memory?.watched).toBe("number");
});

test("the operator's wish to try again is heard once", async () => {
  start();
  await state(calm);
  unit.engine = FAILED;
  watched.answers.engine = "down";
  watched.answers.health = 500;
  await state((one) => one.halted.length > 0);
  world.write(`${FAKE_HOME}/runtime/state/watch-again`, "");
  await state((one) => one.halted.length === 0);
  expect(world.exists(`${FAKE_HOME}/runtime/state/watch-again`)).toBe(false);
});

const LAST_WORD = (id: string) =>
  `LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=11\nStatusText=failed (${id}): starting: so it is\n`;
const PROFILES = `${FAKE_HOME}/runtime/bench/${HOST}/profiles`;

test.each([
  ["lock-damaged", `${FAKE_HOME}/runtime/locks/engine.lock/holder.json`],
  ["engine-died", `${PROFILES}/0123456789abcdef-b-0123456789ab.json`],
])("%s: a restart, then the known fix, which sets %s aside", async (cause, file) => {
  world.write(file, "{");
  start();
  await state(calm);
  unit.engine = LAST_WORD(cause);
  watched.answers.engine = "down";
  watched.answers.health = 500;
  await until(() => !world.exists(file));
  unit.engine = ACTIVE;
  watched.answers.engine = "up";
  await state((one) => one.engine.state === "up");
  await until(() => root.asked.length === 2);
  expect(root.asked).toEqual(["restart-engine", "restart-engine"]);
  expect(world.picture(`${FAKE_HOME}/runtime`).join("\n")).toMatch(/\.(damaged|aside)-/);
});

test("a full disk is put right by 00_check_structure, as a run of its own; a fix that has nothing to do is passed over", async () => {
  start();
  await state(calm);
  unit.engine = LAST_WORD("disk-full");
  watched.answers.engine = "down";
  watched.answers.health = 500;
  await until(() => world.started.some((argv) => argv.some((one) => one.includes("00_check"))));
  unit.engine = LAST_WORD("engine-died"); // nothing was ever tuned here
  await until(() => root.asked.includes("previous-engine"));
  const texts = readJournal(eyes()).flatMap((one) => (one.kind === "begin" ? one.steps : []));
  expect(texts.map(({ text }) => text).join("\n")).not.toContain("tuned profiles");
});
