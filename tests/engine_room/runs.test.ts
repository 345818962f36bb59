/** How runs end: each outcome of the engine, made to happen. */
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Interrupted } from "../../lib/errors.ts";
import { pastRuns, readJournal } from "../../lib/keep/journal.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { isDone, readStatus } from "../../lib/keep/status.ts";
import type { Call, Finding, Step, Unit } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { runOn, SILENT } from "../support/run.ts";

const NOTE = join(FAKE_HOME, "note");
const OTHER = join(FAKE_HOME, "other");

/** A unit that wants the note to say "new", with parts to be replaced. */
function noteUnit(more: Partial<Unit<string | undefined>> = {}): Unit<string | undefined> {
  return {
    id: "02_scaffold_dirs",
    flag: "dirs_scaffolded",
    summary: "Writes a note",
    needs: {},
    observe: (probe) => Promise.resolve(probe.text(NOTE)),
    diagnose: () => [],
    plan: (note) =>
      note === "new" ? [] : [{ do: "write", path: NOTE, content: "new", mode: 0o600 }],
    fingerprint: (note) => note ?? null,
    digest: (note) => note ?? null,
    ...more,
  };
}

const fail = (id: string, means?: Finding["means"]): Finding => ({
  id,
  level: "fail",
  what: "it is not well",
  why: "because",
  evidence: "here",
  fix: ["mend", "it"],
  ...(means ? { means } : {}),
});

let world: FakeWorld;
beforeEach(() => {
  world = fakeMachine({ files: { [NOTE]: "old", "/sys/knob": "slow" } });
});
afterEach(() => world.dispose());
const probe = () => createProbe(world.machine, FAKE_HOME, "testhost");

test("a fail blocks before any act, and is remembered", async () => {
  const report = await runOn(world, noteUnit({ diagnose: () => [fail("sick")] }));
  expect(report).toMatchObject({ outcome: "blocked", error: { id: "sick", fix: ["mend", "it"] } });
  expect(world.read(NOTE)).toBe("old");
  expect(pastRuns(probe())).toMatchObject([{ outcome: "blocked", because: "sick" }]);
  expect(isDone(readStatus(probe(), "dirs_scaffolded"))).toBe(false);
});

test("what a later round finds wrong takes the earlier round back", async () => {
  const unit = noteUnit({
    diagnose: (note) => (note === "new" ? [fail("worse")] : []),
    plan: (note) =>
      note === "new"
        ? [{ do: "write", path: OTHER, content: "more", mode: 0o600 }]
        : [{ do: "write", path: NOTE, content: "new", mode: 0o600 }],
  });
  const report = await runOn(world, unit);
  expect(report).toMatchObject({ outcome: "rolled-back", error: { id: "worse" } });
  expect(world.read(NOTE)).toBe("old");
});

test("a measurement below its baseline is kept and ends as such", async () => {
  const unit = noteUnit({
    diagnose: (note) => (note === "new" ? [fail("slow", "below-baseline")] : []),
  });
  expect(await runOn(world, unit)).toMatchObject({
    outcome: "below-baseline",
    error: { id: "slow" },
  });
  expect(world.read(NOTE)).toBe("new");
});

test("a plan that never empties is given up and taken back", async () => {
  const unit = noteUnit({ plan: () => [{ do: "write", path: NOTE, content: "new", mode: 0o600 }] });
  expect(await runOn(world, unit)).toMatchObject({
    outcome: "rolled-back",
    error: { id: "never-converges" },
  });
  expect(world.read(NOTE)).toBe("old");
});

test("a signal amid a step takes everything back and ends as interrupted", async () => {
  const controller = new AbortController();
  const wait: Call = ({ act, signal }) => {
    act.write(OTHER, "half");
    controller.abort(new Interrupted("SIGINT"));
    signal.throwIfAborted();
    return Promise.resolve();
  };
  const plan = (): readonly Step[] => [
    { do: "write", path: NOTE, content: "new", mode: 0o600 },
    { do: "call", name: "wait", args: {}, undo: { restore: [OTHER] } },
  ];
  const report = await runOn(world, noteUnit({ plan, calls: { wait } }), {
    signal: controller.signal,
  });
  expect(report).toMatchObject({ outcome: "interrupted", error: { id: "interrupted" } });
  expect(world.read(NOTE)).toBe("old");
  expect(world.exists(OTHER)).toBe(false);
});

test("what can't be brought back is listed, and the run ends as broken", async () => {
  const bad: Call = () => Promise.reject(new Error("planted"));
  const plan = (): readonly Step[] => [
    { do: "write", path: NOTE, content: "new", mode: 0o600 },
    { do: "call", name: "bad", args: {}, undo: { by: ["no-such-program"] } },
  ];
  const report = await runOn(world, noteUnit({ plan, calls: { bad } }));
  expect(report.outcome).toBe("broken");
  expect(report.left?.join()).toContain("no-such-program");
  expect(world.read(NOTE)).toBe("old"); // the rest came back all the same
});

test("a temporary setting is put back after success and after failure", async () => {
  const seen: string[] = [];
  const measure: Call = ({ act, probe: eyes }, { good }) => {
    seen.push(eyes.text("/sys/knob") ?? "");
    if (good !== true) return Promise.reject(new Error("planted"));
    act.write(NOTE, "new");
    return Promise.resolve();
  };
  for (const good of [false, true]) {
    const plan = (note: string | undefined): readonly Step[] =>
      note === "new"
        ? []
        : [
            { do: "set", path: "/sys/knob", value: "fast", temporary: true },
            { do: "call", name: "measure", args: { good }, undo: { restore: [NOTE] } },
          ];
    const report = await runOn(world, noteUnit({ plan, calls: { measure } }));
    expect(report.outcome).toBe(good ? "changed" : "rolled-back");
    expect(world.read("/sys/knob")).toBe("slow");
  }
  expect(seen).toEqual(["fast", "fast"]);
});

test("undo refuses where somebody changed the file since, and says which", async () => {
  await runOn(world, noteUnit());
  world.write(NOTE, { text: "mine", mode: 0o600 });
  const report = await runOn(world, noteUnit(), { mode: "undo" });
  expect(report).toMatchObject({ outcome: "blocked", error: { id: "changed-since" } });
  expect(report.error?.why).toContain(NOTE);
  expect(world.read(NOTE)).toBe("mine");
});

test("after an undo the status is open again, and a second undo has nothing to take back", async () => {
  await runOn(world, noteUnit());
  expect(isDone(readStatus(probe(), "dirs_scaffolded"))).toBe(true);
  expect((await runOn(world, noteUnit(), { mode: "undo" })).outcome).toBe("changed");
  expect(world.read(NOTE)).toBe("old");
  expect(readStatus(probe(), "dirs_scaffolded")).toMatchObject({ outcome: "absent" });
  expect((await runOn(world, noteUnit(), { mode: "undo" })).outcome).toBe("converged");
});

test("what reaches beyond the home is asked for, and not done without a yes", async () => {
  const plan = (): readonly Step[] => [
    { do: "write", path: "/etc/thing", content: "x", mode: 0o644 },
  ];
  const unit = noteUnit({ plan });
  const asked = (answer: boolean) =>
    runOn(world, unit, { want: {}, confirm: () => Promise.resolve(answer) });
  expect(await runOn(world, unit, { want: {} })).toMatchObject({
    outcome: "blocked",
    error: { id: "not-confirmed" },
  });
  expect(await asked(false)).toMatchObject({ outcome: "blocked", error: { id: "not-confirmed" } });
  expect(world.exists("/etc/thing")).toBe(false);
});

test("secrets are neither in the journal nor in the report", async () => {
  const plan = (note: string | undefined): readonly Step[] =>
    note === "old"
      ? [{ do: "write", path: NOTE, content: { secret: "api-key" }, mode: 0o600 }]
      : [];
  const report = await runOn(
    world,
    noteUnit({ plan, digest: () => null, fingerprint: () => null }),
  );
  const secret = world.read(NOTE);
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  const kept = world
    .picture(FAKE_HOME)
    .map((line) => line.split(" ")[0] ?? "")
    .filter((path) => path !== NOTE && !path.endsWith("/") && world.exists(path))
    .map((path) => world.read(path));
  expect([JSON.stringify(report), ...kept].filter((text) => text.includes(secret))).toEqual([]);
});

test("a torn last line of the journal is passed over, and the index goes on without a gap", async () => {
  await runOn(world, noteUnit());
  const file = `${FAKE_HOME}/logs/journal/testhost/00000000.jsonl`;
  world.write(file, { text: `${world.read(file)}{"index":2,"kind":"beg`, mode: 0o600 });
  world.write(NOTE, "old again");
  expect((await runOn(world, noteUnit())).outcome).toBe("changed");
  expect(readJournal(probe()).map((one) => one.index)).toEqual([0, 1, 2, 3]);
});

test("the status is a view: with the file gone the journal still tells", async () => {
  await runOn(world, noteUnit());
  world.remove(`${FAKE_HOME}/status`);
  expect((await runOn(world, noteUnit())).outcome).toBe("converged");
  expect(isDone(readStatus(probe(), "dirs_scaffolded"))).toBe(true);
});

test("a clock that went back neither blocks nor loses a run", async () => {
  let now = Date.parse("2030-01-01T00:00:00Z");
  world.dispose();
  world = fakeMachine({ files: { [NOTE]: "old" }, now: () => now });
  await runOn(world, noteUnit());
  now = Date.parse("2020-01-01T00:00:00Z");
  world.write(NOTE, { text: "old", mode: 0o600 });
  expect((await runOn(world, noteUnit())).outcome).toBe("changed");
  expect(pastRuns(probe()).map((one) => one.outcome)).toEqual(["changed", "changed"]);
  const undone = await runOn(world, noteUnit(), { mode: "undo" });
  expect(undone.outcome).toBe("changed");
  expect(world.read(NOTE)).toBe("old");
});

test("a log that can't be written is said, and the work goes on", async () => {
  world.write(`${FAKE_HOME}/logs/memory`, "a file is in the way");
  const report = await runOn(world, noteUnit(), { say: SILENT });
  expect(report.outcome).toBe("changed");
  expect(report.findings.map((one) => one.id)).toContain("log-unwritable");
});
