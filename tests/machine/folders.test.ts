/** Folders get the mode that was asked for, whatever the umask. */
import { afterEach, expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";

const keep = keptForEachTest();
const before = process.umask(0o022); // reading it alone is deprecated: a race between threads
process.umask(before);
afterEach(() => {
  process.umask(before);
});

test.each([0o000, 0o022, 0o077, 0o777])("with umask %d, parents its owner's alone", (umask) => {
  const world = keep(fakeMachine());
  const act = createAct(world.machine, createProbe(world.machine, FAKE_HOME, "testhost"));
  const mode = (name: string) => lstatSync(world.path(join(FAKE_HOME, name))).mode & 0o7777;
  process.umask(umask);
  act.makeFolder(join(FAKE_HOME, "up", "open"), 0o755);
  process.umask(before);
  expect([mode("up"), mode("up/open")]).toEqual([0o700, 0o755]);
});
