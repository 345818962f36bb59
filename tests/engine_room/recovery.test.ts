/** Taking back a run that was cut off never takes along what somebody changed since. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "bun:test";
import { pastRuns } from "../../lib/keep/journal.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Step, Unit } from "../../lib/unit.ts";
import { cutOff, JOURNAL } from "../support/cut_off.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";

const at = (name: string) => join(FAKE_HOME, "things", name);
const kept = keptForEachTest();
let world: FakeWorld;
beforeEach(() => {
  world = kept(
    fakeMachine({
      files: {
        [at("old")]: "old",
        [at("link")]: { link: "there" },
        [at("gone/file")]: "in a folder that goes",
      },
    }),
  );
});

/** Carries out the given steps once, in runs that want it. */
function unitOf(steps: readonly Step[], calls: Unit["calls"] = {}): Unit<boolean> {
  return {
    id: "02_scaffold_dirs",
    flag: "dirs_scaffolded",
    summary: "Carries out steps",
    needs: {},
    flags: { go: { type: "boolean", description: "Whether to" } },
    observe: (probe) => Promise.resolve(probe.stat(at("done")) !== undefined),
    diagnose: () => [],
    plan: (done, { go }) =>
      done || go !== true
        ? []
        : [...steps, { do: "write", path: at("done"), content: "", mode: 0o600 }],
    calls,
  };
}

/** Runs it, cuts it off, changes something, and looks at the next run. */
async function recovered(unit: Unit<boolean>, change: () => void) {
  const ran = await runOn(world, unit, { want: { yes: true, go: true } });
  expect(ran.outcome).toBe("changed");
  cutOff(world);
  change();
  const next = await runOn(world, unit);
  const [, last] = pastRuns(createProbe(world.machine, FAKE_HOME, "testhost"));
  expect(last).toMatchObject({ outcome: "interrupted", because: "cut-off" });
  expect(world.exists(at("done"))).toBe(false);
  return next.findings.map(({ why, fix, level }) => ({ why, fix, level }));
}
const asides = () =>
  readdirSync(world.path(at("")))
    .filter((name) => /\.(?:changed|cut-off)-/.test(name))
    .sort();

test("untouched, all of it comes back and nothing is set aside or told", async () => {
  const was = world.picture(at(""));
  const steps: readonly Step[] = [
    { do: "write", path: at("old"), content: "new", mode: 0o600 },
    { do: "write", path: at("deep/new"), content: "new", mode: 0o600 },
    { do: "write", path: at("token"), content: { secret: "token" }, mode: 0o600 },
    { do: "link", path: at("link"), target: "elsewhere" },
    { do: "remove", path: at("gone") },
    { do: "call", name: "make", args: {}, undo: { restore: [at("made")] } },
    { do: "move", from: at("made"), to: at("moved") },
  ];
  const unit = unitOf(steps, {
    make: ({ act }) => Promise.resolve(act.write(at("made"), "by a call")),
  });
  expect(await recovered(unit, () => undefined)).toEqual([]);
  expect(world.picture(at(""))).toEqual(was);
});

test("a file that the run made and somebody wrote to since stays, and is named with a command", async () => {
  const unit = unitOf([{ do: "write", path: at("deep/new"), content: "new", mode: 0o600 }]);
  const told = await recovered(unit, () => world.write(at("deep/new"), "edited"));
  expect(world.read(at("deep/new"))).toBe("edited");
  expect(told).toMatchObject([{ level: "warn", fix: ["cat", at("deep/new")] }]);
  expect(told[0]?.why).toContain("changed since that run: it stays");
});

test("a file that was there before and was edited since is moved aside, and the one before comes back", async () => {
  const unit = unitOf([{ do: "write", path: at("old"), content: "new", mode: 0o600 }]);
  const told = await recovered(unit, () => world.write(at("old"), "edited"));
  const [aside = "none"] = asides();
  expect([world.read(at("old")), world.read(at(aside))]).toEqual(["old", "edited"]);
  expect(told).toMatchObject([{ fix: ["diff", at("old"), at(aside)] }]);
});

test("a folder that was put in the place of a file or link of the run is kept with all in it", async () => {
  const unit = unitOf([
    { do: "link", path: at("link"), target: "elsewhere" },
    { do: "remove", path: at("gone") },
  ]);
  await recovered(unit, () => {
    world.remove(at("link"));
    world.write(at("link/mine"), "mine");
    world.write(at("gone/mine"), "mine too");
  });
  const [gone = "none", link = "none"] = asides();
  expect(world.read(at(`${link}/mine`))).toBe("mine");
  expect(world.read(at(`${gone}/mine`))).toBe("mine too");
  expect(world.read(at("gone/file"))).toBe("in a folder that goes");
});

test("what others put into a folder of the run stays, and the run counts as taken back", async () => {
  const unit = unitOf([{ do: "dir", path: at("folder"), mode: 0o700 }]);
  const told = await recovered(unit, () => world.write(at("folder/mine"), "mine"));
  expect(world.read(at("folder/mine"))).toBe("mine");
  expect(told).toMatchObject([{ fix: ["ls", "-la", at("folder")] }]);
});

test("what a call wrote and somebody changed since stays; what an unfinished call left is set aside", async () => {
  const steps: readonly Step[] = [
    { do: "call", name: "make", args: {}, undo: { restore: [at("made"), at("old")] } },
  ];
  const unit = unitOf(steps, {
    make: ({ act }) => {
      act.write(at("made"), "by a call");
      act.write(at("old"), "by a call");
      return Promise.resolve();
    },
  });
  await recovered(unit, () => world.write(at("made"), "edited"));
  expect([world.read(at("made")), world.read(at("old")), asides()]).toEqual(["edited", "old", []]);
  world.remove(at("made"));
  await recovered(unit, () => {
    const [run = "none"] = readdirSync(world.path(join(FAKE_HOME, "runtime", "snapshots")));
    world.remove(join(FAKE_HOME, "runtime", "snapshots", run, "wrote"));
  });
  expect(world.read(at("old"))).toBe("old");
  expect(asides().map((name) => world.read(at(name)))).toEqual(["by a call", "by a call"]);
});

test("an undo that was cut off is finished around what was changed since", async () => {
  const unit = unitOf([{ do: "write", path: at("old"), content: "new", mode: 0o600 }]);
  await runOn(world, unit, { want: { yes: true, go: true } });
  const [begin] = world.read(JOURNAL).split("\n");
  const first = JSON.parse(begin ?? "") as { run: string };
  const open = { ...first, run: `${first.run}x`, index: 2, undoes: first.run };
  world.write(JOURNAL, `${world.read(JOURNAL)}${JSON.stringify(open)}\n`);
  world.write(at("old"), "edited");
  await runOn(world, unit);
  const [aside = "none"] = asides();
  expect([world.read(at("old")), world.read(at(aside))]).toEqual(["old", "edited"]);
});
