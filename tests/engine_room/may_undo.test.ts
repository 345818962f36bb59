/** A user's `--undo` of what root did: refused before anything is touched, or carried out whole. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readJournal } from "../../lib/keep/journal.ts";
import { createProbe, type Probe } from "../../lib/machine/probe.ts";
import type { Step, Unit } from "../../lib/unit.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeMachineOptions,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { runOn } from "../support/run.ts";

const OTHER = 54_321;
const NOTE = join(FAKE_HOME, "note");

const keep = keptForEachTest();

/** A unit that wants this file to say "new". */
function writer(path: string, more: readonly Step[] = []): Unit<string | undefined> {
  return {
    id: "02_scaffold_dirs",
    flag: "dirs_scaffolded",
    summary: "Writes a note",
    needs: {},
    observe: (probe) => Promise.resolve(probe.text(path)),
    diagnose: () => [],
    plan: (text) =>
      text === "new" ? [] : [...more, { do: "write", path, content: "new", mode: 0o644 }],
  };
}

async function doneByRoot(unit: Unit<string | undefined>, options: FakeMachineOptions = {}) {
  const world = keep(fakeMachine({ me: { root: true }, ...options }));
  expect((await runOn(world, unit)).outcome).toBe("changed");
  return world;
}

const asUser = (world: FakeWorld, uid = OTHER): FakeWorld => ({
  ...world,
  machine: { ...world.machine, me: { ...world.machine.me, root: false, uid } },
});

describe("is refused, with sudo as the way,", () => {
  test.each([
    ["a file in a folder of root's", "/etc/thing", { "/etc/hosts": "" }],
    ["a file that was changed in a folder of root's", "/etc/thing", { "/etc/thing": "old" }],
  ])("for %s", async (_what, path, files) => {
    const unit = writer(path);
    const world = await doneByRoot(unit, { files });
    const entries = readJournal(createProbe(world.machine, FAKE_HOME, "testhost")).length;
    const report = await runOn(asUser(world), unit, { mode: "undo" });
    expect(report).toMatchObject({
      outcome: "blocked",
      error: { id: "needs-root", fix: ["sudo", "./bin/02_scaffold_dirs", "--undo"] },
    });
    expect(report.error?.why).toContain(path);
    expect(world.read(path)).toBe("new");
    expect(readJournal(createProbe(world.machine, FAKE_HOME, "testhost")).length).toBe(entries);
    expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
  });

  test("for packages", async () => {
    const installed = ["base"];
    const unit = writer(NOTE, [{ do: "package", install: ["tool"] }]);
    const world = await doneByRoot(unit, {
      programs: {
        "dpkg-query": () => ({
          stdout: installed.map((one) => `${one}:amd64 installed\n`).join(""),
        }),
        "apt-get": () => (installed.push("tool"), {}),
      },
    });
    const report = await runOn(asUser(world), unit, { mode: "undo" });
    expect(report.error?.id).toBe("needs-root");
    expect(report.error?.why).toContain("tool");
  });
});

testUnless(needsRoot)(
  "what root changed in the user's own folders the user takes back",
  async () => {
    const unit = writer(NOTE);
    const files = { [FAKE_HOME]: { folder: true, mode: 0o700, uid: OTHER } } as const;
    const world = await doneByRoot(unit, { files });
    const report = await runOn(asUser(world), unit, { mode: "undo" });
    expect(report.outcome).toBe("changed");
    expect(world.exists(NOTE)).toBe(false);
  },
);

testUnless(needsRoot)("a change of owner only root takes back", async () => {
  const unit: Unit<number> = {
    ...writer(NOTE),
    observe: (probe: Probe) => Promise.resolve(probe.stat(NOTE)?.uid ?? -1),
    plan: (uid: number) =>
      uid === OTHER ? [] : [{ do: "attr", path: NOTE, owner: { uid: OTHER, gid: OTHER } }],
  } as unknown as Unit<number>;
  const files = {
    [FAKE_HOME]: { folder: true, mode: 0o700, uid: OTHER },
    [NOTE]: { text: "x", uid: 0 },
  } as const;
  const world = keep(fakeMachine({ me: { root: true }, files }));
  expect((await runOn(world, unit)).outcome).toBe("changed");
  expect((await runOn(asUser(world), unit, { mode: "undo" })).error?.id).toBe("needs-root");
});
