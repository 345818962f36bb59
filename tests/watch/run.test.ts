/** The watcher as it runs: against a real gateway's address, a real engine's, a paired host behind TLS, and root's socket. */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { readJournal } from "../../lib/keep/journal.ts";
import { createAct } from "../../lib/machine/act.ts";
import { lastContact } from "../../lib/peer/contact.ts";
import { TOP } from "../../lib/services/places.ts";
import type { CallContext } from "../../lib/unit.ts";
import { runWatcher } from "../../lib/watch/run.ts";
import type { WatchState } from "../../lib/watch/state.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { ACTIVE, calm, FAILED, HOST, until, WatcherWorld } from "./watcher_world.ts";

setDefaultTimeout(60_000);

let w: WatcherWorld;
beforeEach(() => {
  w = new WatcherWorld();
});
afterEach(() => w.dispose());

test("a healthy host: up, with its peer, no alert, no act, systemd told of life", async () => {
  const { told } = w.start();
  const seen = await w.state((one) => calm(one) && one.peer?.state === "up");
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
  expect(w.root.asked).toEqual([]);
  expect(w.world.started.filter(([name]) => name === "systemctl")).toEqual([]);
});

test("a killed engine is restarted through root, and the journal has the act", async () => {
  w.start();
  await w.state(calm);
  w.killEngine();
  await w.state((one) => one.engine.restarts > 0);
  w.unit.engine = ACTIVE;
  w.watched.answers.engine = "up";
  await w.state((one) => one.engine.state === "up");
  const entries = () => readJournal(w.eyes()).filter((one) => one.script === "06_shelter_watch");
  await until(() => entries().length === 2);
  expect(w.root.asked).toEqual(["restart-engine"]);
  const acts = entries();
  expect(acts.map(({ kind }) => kind)).toEqual(["begin", "end"]);
  expect(acts[0]).toMatchObject({
    steps: [{ text: "restart the engine, because it was ended by signal 9" }],
  });
  expect(acts[1]).toMatchObject({ outcome: "changed", flag: "watch_acted", steps: 0 });
});

test("an engine that nothing cures: every rung once, then halt; root's refusal is said", async () => {
  w.start();
  await w.state(calm);
  w.killEngine();
  w.root.answer = "there is no such unit";
  const seen = await w.state((one) => one.halted.length > 0);
  expect(w.root.asked).toEqual([
    "restart-engine",
    "restart-engine",
    "restart-engine",
    "previous-engine",
  ]);
  expect(seen.halted[0]?.why).toContain("3 restarts and going back to the last good generation");
  const ends = readJournal(w.eyes()).filter((one) => one.kind === "end");
  expect(ends).toHaveLength(4);
  expect(ends[0]).toMatchObject({ outcome: "blocked", because: "root-refused" });
});

test("a watcher that is killed and started anew goes on where it was, also on another boot", async () => {
  const first = w.start();
  await w.state(calm);
  w.killEngine();
  await w.state((one) => one.engine.restarts === 2);
  await first.stop();
  const before = w.root.asked.length;
  w.world.write("/proc/sys/kernel/random/boot_id", "99999999-2222-3333-4444-555555555555\n");
  w.uptime = 3000;
  w.start();
  await w.state((one) => one.halted.length > 0);
  expect(w.root.asked.slice(before).slice(-2)).toEqual(["restart-engine", "previous-engine"]);
  expect(w.root.asked).toHaveLength(4);
});

test("an engine that the gateway does not believe yet, but that answers, is up", async () => {
  w.watched.answers.engine = "down";
  w.start();
  await w.state((one) => calm(one) && one.engine.state === "up");
  expect(w.watched.asked.tokens).toBeGreaterThan(0);
  expect(w.root.asked).toEqual([]);
});

test("one that says it is healthy and answers nothing is wedged, and restarted", async () => {
  w.watched.answers.engine = "down";
  w.watched.answers.tokens = false;
  w.start();
  await w.state((one) => one.engine.restarts > 0);
  await until(() => w.root.asked.length > 0);
  expect(w.root.asked[0]).toBe("restart-engine");
});

test("an engine whose health fails twice in a row is not touched: a machine may be drowned for a moment", async () => {
  w.start();
  await w.state(calm);
  w.watched.answers.failing = 2;
  w.watched.answers.engine = "down";
  await until(() => w.watched.answers.failing === 0);
  const { memory } = await w.state(() => true);
  await w.state((one) => (one.memory?.watched ?? 0) > (memory?.watched ?? 0) + 30_000);
  expect(w.root.asked).toEqual([]);
});

test("a dead gateway is restarted, and the engine is judged without it", async () => {
  w.start();
  await w.state(calm);
  w.watched.answers.gateway = false;
  w.unit.gateway = FAILED;
  const seen = await w.state((one) => one.gateway.restarts > 0);
  expect(seen.engine.state).toBe("up");
  await until(() => w.root.asked.length > 0);
  expect(w.root.asked).toEqual(["restart-gateway"]);
});

test("a gateway that can't start: three restarts, then root goes back to the release before, and that is said until it is back", async () => {
  const [release, before] = ["a".repeat(16), "b".repeat(16)];
  w.world.write(`${TOP}/${before}/shelter`, "a program");
  w.world.write(`${TOP}/current`, { link: `live/${release}` });
  w.world.write(`${TOP}/before`, { link: before });
  w.world.write(`${TOP}/live/${release}`, { link: `../${release}` });
  w.start();
  await w.state(calm);
  w.watched.answers.gateway = false;
  w.unit.gateway = FAILED;
  await until(() => w.root.asked.includes("previous-release"));
  expect(w.root.asked).toEqual([
    "restart-gateway",
    "restart-gateway",
    "restart-gateway",
    "previous-release",
  ]);
  const ends = () => readJournal(w.eyes()).filter((one) => one.kind === "end");
  await until(() => ends().length === 4);
  const begun = readJournal(w.eyes()).flatMap((one) => (one.kind === "begin" ? one.steps : []));
  expect(begun.at(-1)?.text).toStartWith("go back to the release before, gateway and watcher");
  w.world.remove(`${TOP}/live/${release}`);
  w.world.write(`${TOP}/live/${release}`, { link: `../${before}` });
  w.watched.answers.gateway = true;
  w.unit.gateway = ACTIVE;
  const seen = await w.state((one) => one.alerts.some(({ id }) => id === "release"));
  expect(seen.alerts).toContainEqual(
    expect.objectContaining({
      what: expect.stringContaining(`release ${before} serves`),
      fix: ["sudo", "./bin/06_phantom_watchdog"],
    }),
  );
  expect(seen.halted).toEqual([]);
});

test("a governor that is changed while the engine serves is set again through root, with an entry in the journal", async () => {
  const policy = "/sys/devices/system/cpu/cpufreq/policy0";
  w.world.write(`${policy}/scaling_available_governors`, "performance powersave\n");
  w.world.write(`${policy}/scaling_governor`, "performance\n");
  w.start();
  await w.state(calm);
  w.world.write(`${policy}/scaling_governor`, "powersave\n");
  await until(() => w.root.asked.length > 0);
  w.world.write(`${policy}/scaling_governor`, "performance\n");
  const from = w.uptime;
  await until(() => w.uptime > from + 300_000);
  expect(w.root.asked).toEqual(["governor-performance"]);
  const acts = readJournal(w.eyes()).filter((one) => one.script === "06_shelter_watch");
  expect(acts).toMatchObject([
    {
      kind: "begin",
      steps: [{ text: expect.stringMatching(/^set the governor to "performance"/) }],
    },
    { kind: "end", outcome: "changed" },
  ]);
});

test("what systemctl stopped is left alone", async () => {
  w.watched.answers.engine = "down";
  w.watched.answers.health = 500;
  w.unit.engine =
    "LoadState=loaded\nActiveState=inactive\nResult=success\nUnitFileState=enabled\nExecMainStartTimestampMonotonic=12\n";
  w.start();
  const seen = await w.state((one) => calm(one) && one.alerts.length > 0);
  expect(seen.engine).toMatchObject({ state: "stopped" });
  expect(w.root.asked).toEqual([]);
});

test("a peer that is gone is down after three quarters of a minute", async () => {
  w.start();
  await w.state((one) => one.peer?.state === "up");
  w.watched.stop();
  const seen = await w.state((one) => one.peer?.state === "down");
  expect(seen.alerts).toContainEqual(
    expect.objectContaining({ id: "peer-down.there", level: "warn" }),
  );
});

test("the paired host's word: its clock, its watcher, and a note of the contact", async () => {
  const release = { version: "1", commit: null, dirty: false, target: "source", bun: "1.4.4" };
  const holds = { programs: null, config: null, files: {}, models: {}, engine: null };
  const hour = 3_600_000;
  const theirs = (ms: number) => new Date(Date.now() + hour + ms).toISOString();
  w.start();
  const own = await w.state(calm);
  const watch = { ...own, host: "there", at: theirs(-120_000), peer: undefined };
  w.word = {
    ...{ schema: 1, host: "there", at: theirs(0), home: "/home/op", release, holds, watch },
    ...{ scripts: [], running: [] },
  };
  const { alerts, peer } = await w.state((one) => one.peer?.clockOff !== undefined);
  expect(alerts).toContainEqual(expect.objectContaining({ id: "peer-clock.there", level: "fail" }));
  expect(alerts).toContainEqual(expect.objectContaining({ id: "peer-watcher.there" }));
  expect(Math.abs((peer?.clockOff ?? 0) - hour)).toBeLessThan(5000);
  expect(Math.abs((peer?.watcherAge ?? 0) - 120_000)).toBeLessThan(1000);
  expect(lastContact(w.eyes(), "there")?.word.host).toBe("there");
});

test("a paired host that lives and refuses is up, with what is wrong; one with another host key is not", async () => {
  w.watched.stop(); // its gateway is gone
  w.refusal = { code: 11, stderr: "witness may not ask for status" };
  w.start();
  const { alerts } = await w.state((one) => one.peer?.state === "up");
  expect(alerts).toContainEqual(expect.objectContaining({ id: "peer-trouble.there" }));
  w.refusal = { code: 255, stderr: "Host key verification failed." };
  await w.state((one) => one.peer?.state === "down");
});

test("a home that takes no writing: plain restarts alone, counted in memory, until it takes writing again", async () => {
  const first = w.start();
  await w.state(calm);
  await first.stop();
  w.world.remove(`${FAKE_HOME}/runtime/state`);
  w.world.write(`${FAKE_HOME}/runtime/state`, "a file in its place");
  const records = readJournal(w.eyes()).length;
  w.killEngine();
  const { told } = w.start();
  await until(() => told.length > 300);
  const restarts = ["restart-engine", "restart-engine", "restart-engine"];
  expect(w.root.asked).toEqual(restarts);
  expect(readJournal(w.eyes())).toHaveLength(records);
  expect(w.lines.filter((line) => line.includes("can't be written"))).toHaveLength(1);
  expect(w.lines.filter((line) => line.includes("without a record"))).toHaveLength(3);
  w.world.remove(`${FAKE_HOME}/runtime/state`);
  await w.state((one) => one.halted.length > 0);
  expect(w.root.asked).toEqual([...restarts, "previous-engine"]);
});

test("a look that fails is said once and gives no sign of life; the next good one does", async () => {
  const { told } = w.start();
  await w.state(calm);
  const wish = `${FAKE_HOME}/runtime/state/watch-again`;
  const { remove } = w.hands;
  w.hands.remove = () => {
    throw Object.assign(new Error("EROFS: read-only"), { code: "EROFS", path: wish });
  };
  w.world.write(wish, "");
  await until(() => w.lines.some((line) => line.startsWith("A look failed")));
  const alive = told.length;
  await Bun.sleep(50);
  expect(told.length).toBe(alive);
  expect(w.lines.filter((line) => line.startsWith("A look failed"))).toHaveLength(1);
  w.hands.remove = remove;
  await until(() => told.length > alive);
});

test("the state is on disk at once where it changed, and else every ten seconds", async () => {
  const written: WatchState[] = [];
  const { write } = w.hands;
  w.hands.write = (path, content, mode) => {
    if (path.endsWith("/watch.json")) written.push(JSON.parse(String(content)) as WatchState);
    write(path, content, mode);
  };
  w.start();
  await w.state(calm);
  const STOPPED = "LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n";
  for (let turn = 0; turn < 3; turn++) {
    w.killEngine(STOPPED);
    await w.state((one) => one.engine.state === "stopped");
    w.unit.engine = ACTIVE;
    w.watched.answers.engine = "up";
    await w.state((one) => one.engine.state === "up");
  }
  const turns = written.filter(({ engine }, at) => engine.state !== written[at - 1]?.engine.state);
  expect(turns.length).toBeGreaterThanOrEqual(7);
  for (const { engine, at } of turns) expect(engine.since).toBe(at);
  const quiet = written.length;
  const from = w.uptime;
  await until(() => w.uptime > from + 200_000);
  expect(written.length - quiet).toBeLessThanOrEqual(22);
});

test("two watchers in one home: the second says whose it is", async () => {
  w.start();
  await w.state(calm);
  const probe = w.eyes();
  const context = { probe, act: createAct(w.world.machine, probe) } as unknown as CallContext;
  await expect(runWatcher(context, {} as never)).rejects.toMatchObject({ id: "locked" });
});

test("told to stop it says so to systemd and in its state; a damaged state is set aside by the next", async () => {
  const watcher = w.start();
  const { told } = watcher;
  await w.state(calm);
  await watcher.stop();
  expect(told.at(-1)).toBe("stopping");
  expect((await w.state(() => true)).ended).toBeDefined();
  w.start();
  expect((await w.state((one) => one.ended === undefined)).ended).toBeUndefined();
  await w.stopAll();
  w.world.write(`${FAKE_HOME}/runtime/state/watch.json`, '{"schema": 1, "host"');
  w.start();
  await w.state(calm);
  expect(w.eyes().list(`${FAKE_HOME}/runtime/state`).join(" ")).toMatch(/watch\.json\.damaged-/);
});

test("a memory that is none is forgotten, and the watcher watches", async () => {
  const watcher = w.start();
  const before = await w.state(calm);
  await watcher.stop();
  const memory = { ...before.memory, watched: "long", rungs: null };
  w.world.write(`${FAKE_HOME}/runtime/state/watch.json`, JSON.stringify({ ...before, memory }));
  w.start();
  const after = await w.state((one) => one.ended === undefined && calm(one));
  expect(typeof after.memory?.watched).toBe("number");
});

test("the operator's wish to try again is heard once", async () => {
  w.start();
  await w.state(calm);
  w.killEngine();
  await w.state((one) => one.halted.length > 0);
  w.world.write(`${FAKE_HOME}/runtime/state/watch-again`, "");
  await w.state((one) => one.halted.length === 0);
  expect(w.world.exists(`${FAKE_HOME}/runtime/state/watch-again`)).toBe(false);
});

const LAST_WORD = (id: string) =>
  `LoadState=loaded\nActiveState=failed\nResult=exit-code\nExecMainStatus=11\nStatusText=failed (${id}): starting: so it is\n`;
const PROFILES = `${FAKE_HOME}/runtime/bench/${HOST}/profiles`;

test.each([
  ["lock-damaged", `${FAKE_HOME}/runtime/locks/engine.lock/holder.json`],
  ["engine-died", `${PROFILES}/0123456789abcdef-b-0123456789ab.json`],
])("%s: a restart, then the known fix, which sets %s aside", async (cause, file) => {
  w.world.write(file, "{");
  w.start();
  await w.state(calm);
  w.killEngine(LAST_WORD(cause));
  await until(() => !w.world.exists(file));
  w.unit.engine = ACTIVE;
  w.watched.answers.engine = "up";
  await w.state((one) => one.engine.state === "up");
  await until(() => w.root.asked.length === 2);
  expect(w.root.asked).toEqual(["restart-engine", "restart-engine"]);
  expect(w.world.picture(`${FAKE_HOME}/runtime`).join("\n")).toMatch(/\.(damaged|aside)-/);
});

test("a full disk is put right by 00_check_structure, as a run of its own; a fix that has nothing to do is passed over", async () => {
  w.start();
  await w.state(calm);
  w.killEngine(LAST_WORD("disk-full"));
  await until(() => w.world.started.some((argv) => argv.some((one) => one.includes("00_check"))));
  w.unit.engine = LAST_WORD("engine-died"); // nothing was ever tuned here
  await until(() => w.root.asked.includes("previous-engine"));
  const texts = readJournal(w.eyes()).flatMap((one) => (one.kind === "begin" ? one.steps : []));
  expect(texts.map(({ text }) => text).join("\n")).not.toContain("tuned profiles");
});
