import { afterEach, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { lockPath, takeLock } from "../../lib/keep/lock.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeMachineOptions,
  type FakeWorld,
} from "../support/fake_machine.ts";

const worlds: FakeWorld[] = [];
afterEach(() => worlds.splice(0).forEach((world) => world.dispose()));
function locks(options: FakeMachineOptions) {
  const world = fakeMachine(options);
  worlds.push(world);
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  return {
    world,
    take: () => takeLock(probe, createAct(world.machine, probe), "journal", { script: "x" }),
  };
}
const PATH = lockPath(FAKE_HOME, "journal");

test.skipIf(process.getuid?.() !== 0)(
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
