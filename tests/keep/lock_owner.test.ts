/** Whose a lock is, and that doubt never takes one over. */
import { expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { isGone, lockPath, readIdentity, takeLock } from "../../lib/keep/lock.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { processExists } from "../../lib/machine/process.ts";
import { FAKE_HOME, fakeMachine, type FakeMachineOptions } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";

const keep = keptForEachTest();
function locks(options: FakeMachineOptions) {
  const world = keep(fakeMachine(options));
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  return {
    world,
    take: () => takeLock(probe, createAct(world.machine, probe), "journal", { script: "x" }),
  };
}
const PATH = lockPath(FAKE_HOME, "journal");

testUnless(needsRoot)(
  "a lock taken under sudo belongs to the home's owner, who can clear it when root is gone",
  async () => {
    const owner = 54_321;
    const { world, take } = locks({
      me: { root: true },
      files: { [FAKE_HOME]: { folder: true, uid: owner } },
    });
    const lock = await take();
    for (const path of [PATH, join(PATH, "holder.json")])
      expect(lstatSync(world.path(path)).uid).toBe(owner);
    if ("release" in lock) await lock.release();
  },
);

test("a lock whose holder can't be read is an error, not a wait for ever", async () => {
  const { take } = locks({ files: { [join(PATH, "holder.json")]: { link: "holder.json" } } });
  const error = await take().catch((one: unknown) => one);
  expect(error).toMatchObject({ id: "lock-unreadable" });
});

test("what stands in a lock's place and is none is an error, not a wait for ever", async () => {
  for (const files of [{ [PATH]: "a file" }, { [join(PATH, "stranger")]: "" }]) {
    const error = await locks({ files: files })
      .take()
      .catch((one: unknown) => one);
    expect(error).toMatchObject({ id: "lock-damaged" });
  }
});

test("a holder that /proc hides from us is not gone", () => {
  const { world } = locks({});
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const boot = probe.text("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  const holder = { pid: 4_000_001, started: "1", boot, script: "x", since: "", nonce: "" };
  expect(isGone(probe, holder)).toBe(true);
  expect(isGone({ ...probe, exists: () => true }, holder)).toBe(false);
  // without a boot id nothing is known of a restart
  expect(isGone({ ...probe, exists: () => true, text: () => undefined }, holder)).toBe(false);
  expect([processExists(process.pid), processExists(4_194_305)]).toEqual([true, false]);
});

test("an identity without its parts is nobody's proof of death", () => {
  const whole = { pid: 1, started: "1", boot: "b", script: "x", since: "s", nonce: "n" };
  expect(readIdentity(JSON.stringify(whole))).toEqual(whole);
  for (const part of ["pid", "started", "boot", "script", "since"]) {
    expect(readIdentity(JSON.stringify({ ...whole, [part]: undefined }))).toBeUndefined();
  }
  expect(readIdentity(JSON.stringify({ ...whole, pid: -1 }))).toBeUndefined(); // kill(2): everybody
});
