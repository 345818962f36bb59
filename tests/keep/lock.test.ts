/** Locks between real processes: the living keep theirs, the dead lose theirs, and nobody is in twice. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { lockHolder, takeLock } from "../../lib/keep/lock.ts";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { fakeMachine, FAKE_HOME } from "../support/fake_machine.ts";

const TAKER = join(import.meta.dirname, "../support/lock_taker.ts");
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "shelter-lock-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function eyes() {
  const machine = thisMachine();
  const probe = createProbe(machine, home, "testhost");
  return { probe, act: createAct(machine, probe) };
}

function taker(how: string, file = "") {
  return Bun.spawn([process.execPath, TAKER, home, "thing", how, file], {
    stdout: "pipe",
    stderr: "inherit",
  });
}

async function firstLine(process: {
  readonly stdout: ReadableStream<Uint8Array>;
}): Promise<string> {
  const reader = process.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value).trim();
}

test("a living holder keeps its lock through 13 s of a blocked event loop, and is named with its age", async () => {
  const holder = taker("block");
  expect(await firstLine(holder)).toBe(`held ${holder.pid}`);
  await Bun.sleep(13_000);
  const { probe, act } = eyes();
  const second = await takeLock(probe, act, "thing", { script: "test" });
  expect(second).toMatchObject({ busy: { pid: holder.pid, script: "taker" } });
  if ("busy" in second) expect(second.age).toBeGreaterThan(12_000);
  await holder.exited;
  const third = await takeLock(probe, act, "thing", { script: "test" });
  expect("release" in third).toBe(true);
  if ("release" in third) await third.release();
}, 30_000);

test("the lock of a holder that was killed -9 is taken over at once", async () => {
  const holder = taker("hold");
  expect(await firstLine(holder)).toBe(`held ${holder.pid}`);
  holder.kill("SIGKILL");
  await holder.exited;
  const { probe, act } = eyes();
  const lock = await takeLock(probe, act, "thing", { script: "test" });
  expect("release" in lock).toBe(true);
  expect(lockHolder(probe, act, "thing")?.pid).toBe(process.pid);
  if ("release" in lock) await lock.release();
  expect(lockHolder(probe, act, "thing")).toBeUndefined();
});

test("20 processes that take over a dead holder's lock at once are in one at a time", async () => {
  const dead = taker("hold");
  await firstLine(dead);
  dead.kill("SIGKILL");
  await dead.exited;
  const file = join(home, "count");
  const all = Array.from({ length: 20 }, () => taker("count", file));
  await Promise.all(all.map((one) => one.exited));
  expect(await Bun.file(file).text()).toBe("20");
}, 60_000);

test("a holder of another boot, or whose number is another process now, is gone", async () => {
  const world = fakeMachine();
  try {
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    const act = createAct(world.machine, probe);
    for (const change of [{ boot: "another" }, { started: "1" }]) {
      const lock = await takeLock(probe, act, "thing", { script: "test" });
      const path = `${FAKE_HOME}/runtime/locks/thing.lock/holder.json`;
      world.write(path, JSON.stringify({ ...(JSON.parse(world.read(path)) as object), ...change }));
      const next = await takeLock(probe, act, "thing", { script: "test" });
      expect("release" in next).toBe(true);
      if ("release" in next) await next.release();
      if ("release" in lock) await lock.release();
    }
  } finally {
    world.dispose();
  }
});

test("a damaged identity is nobody's proof of death", async () => {
  const world = fakeMachine();
  try {
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    const act = createAct(world.machine, probe);
    world.write(`${FAKE_HOME}/runtime/locks/thing.lock/holder.json`, "{");
    expect(takeLock(probe, act, "thing", { script: "test" })).rejects.toThrow("damaged");
  } finally {
    world.dispose();
  }
});
