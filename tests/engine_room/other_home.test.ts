/** In a copy of a home nothing is done to the home that it was copied from. */
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "bun:test";
import { pastRuns } from "../../lib/keep/journal.ts";
import { inHome } from "../../lib/keep/home.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Unit } from "../../lib/unit.ts";
import { cutOff } from "../support/cut_off.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";

const COPY = "/home/op/copy";

/** Writes a file into the agents' folder of whatever home it is run in. */
const unit: Unit<{ readonly home: string; readonly text: string | undefined }> = {
  id: "02_scaffold_dirs",
  flag: "dirs_scaffolded",
  summary: "Writes a note",
  needs: {},
  flags: { text: { type: "string", description: "What to write" } },
  observe: (probe) =>
    Promise.resolve({ home: probe.home, text: probe.text(join(probe.home, "agents/note")) }),
  diagnose: () => [],
  plan: ({ home, text }, { text: wanted }) =>
    wanted === undefined || text === wanted
      ? []
      : [{ do: "write", path: join(home, "agents/note"), content: String(wanted), mode: 0o600 }],
};
const go = (text: string, home = FAKE_HOME) =>
  runOn(world, unit, { home, want: { yes: true, text } });

const kept = keptForEachTest();
let world: FakeWorld;
beforeEach(() => {
  world = kept(fakeMachine());
});
const copy = () => cpSync(world.path(FAKE_HOME), world.path(COPY), { recursive: true });
const note = (home: string) => world.read(join(home, "agents/note"));

/** Makes the snapshots of a home such as an older release wrote. */
function forgetHome(home: string) {
  for (const run of readdirSync(world.path(inHome.snapshots(home)))) {
    const path = join(inHome.snapshots(home, run), "manifest.json");
    const { home: _, ...manifest } = JSON.parse(world.read(path)) as Record<string, unknown>;
    world.write(path, JSON.stringify(manifest));
  }
}

test.each(["this release", "an older release"])(
  "undo in a copy is refused with the reason, by a snapshot of %s",
  async (release) => {
    await go("a");
    if (release === "an older release") forgetHome(FAKE_HOME);
    copy();
    const refused = await runOn(world, unit, { home: COPY, mode: "undo" });
    expect(refused).toMatchObject({ outcome: "blocked", error: { id: "other-home" } });
    expect(refused.error?.why).toContain(FAKE_HOME);
    expect(refused.error?.fix).toEqual(["./bin/02_scaffold_dirs", "--undo", "--home", FAKE_HOME]);
    expect([note(FAKE_HOME), note(COPY)]).toEqual(["a", "a"]);
    expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
    expect([world.exists(join(FAKE_HOME, "agents")), note(COPY)]).toEqual([false, "a"]);
    // a home that is no more where it was is told how it comes back
    world.remove(FAKE_HOME);
    const moved = await runOn(world, unit, { home: COPY, mode: "undo" });
    expect(moved.error?.fix).toEqual(["mv", COPY, FAKE_HOME]);
  },
);

test("a run that was cut off is not taken back from a copy, which says so once", async () => {
  await go("a");
  const run = cutOff(world);
  copy();
  const report = await go("b", COPY);
  expect([report.outcome, note(FAKE_HOME), note(COPY)]).toEqual(["changed", "a", "b"]);
  expect(report.findings).toMatchObject([{ id: `other-home-${run}`, level: "warn" }]);
  expect((await go("c", COPY)).findings).toEqual([]);
  const [, , killed] = pastRuns(createProbe(world.machine, COPY, "testhost"));
  expect(killed).toMatchObject({ run, outcome: "broken" });
});

test("runs of a copy are taken back there, and never folded with those of the other home", async () => {
  await go("a");
  copy();
  world.write(inHome.config(COPY), "retention: {snapshots: 1}\n");
  for (const text of ["b", "c", "d"]) await go(text, COPY);
  expect((await runOn(world, unit, { home: COPY, mode: "undo" })).outcome).toBe("changed");
  expect([note(FAKE_HOME), note(COPY)]).toEqual(["a", "a"]);
  const refused = await runOn(world, unit, { home: COPY, mode: "undo" });
  expect(refused.error?.id).toBe("other-home");
});

test("one home by two names is one home", async () => {
  await go("a");
  world.write(COPY, { link: world.path(FAKE_HOME) });
  expect((await runOn(world, unit, { home: COPY, mode: "undo" })).outcome).toBe("changed");
  expect(world.exists(join(FAKE_HOME, "agents"))).toBe(false);
});
