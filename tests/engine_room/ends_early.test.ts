/** What a crash, a full disk, Ctrl-C or a damaged record leaves: never a host half changed, and never a script that can't run again. */
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { Interrupted } from "../../lib/errors.ts";
import { pastRuns, readJournal, standingRuns } from "../../lib/keep/journal.ts";
import { lastStarted } from "../../lib/keep/snapshot.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Unit } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { runOn, SILENT } from "../support/run.ts";

const NOTE = join(FAKE_HOME, "note");
const FOLDER = join(FAKE_HOME, "folder");
const SNAPSHOTS = join(FAKE_HOME, "runtime", "snapshots");
const JOURNAL = join(FAKE_HOME, "logs", "journal", "testhost", "00000000.jsonl");

/** Wants a folder, and the note to say "new". */
function unitWith(more: Partial<Unit<string>> = {}): Unit<string> {
  return {
    id: "02_scaffold_dirs",
    flag: "dirs_scaffolded",
    summary: "Makes a folder and writes a note",
    needs: {},
    observe: (probe) => Promise.resolve(probe.text(NOTE) ?? ""),
    diagnose: () => [],
    plan: (note) =>
      note === "new"
        ? []
        : [
            { do: "dir", path: FOLDER, mode: 0o700 },
            { do: "write", path: NOTE, content: "new", mode: 0o600 },
          ],
    ...more,
  };
}

let world: FakeWorld;
beforeEach(() => {
  world = fakeMachine({ files: { [NOTE]: "old" } });
});
afterEach(() => world.dispose());
const probe = () => createProbe(world.machine, FAKE_HOME, "testhost");
const snapshot = () => join(SNAPSHOTS, readdirSync(world.path(SNAPSHOTS))[0] ?? "none");

test("a note of progress that was cut off amid writing does not hide the steps before it", () => {
  world.write(join(SNAPSHOTS, "run", "started"), "0 9\n0 10\n0 1");
  expect(lastStarted(probe(), "run")).toEqual({ round: 0, step: 10 });
  world.write(join(SNAPSHOTS, "run", "started"), "0");
  expect(lastStarted(probe(), "run")).toBeUndefined();
});

test("Ctrl-C while it looks ends every mode as interrupted, and nothing was done", async () => {
  for (const mode of ["plan", "verify", "apply"] as const) {
    const controller = new AbortController();
    const observe = () => {
      controller.abort(new Interrupted("SIGINT"));
      return Promise.resolve("new"); // also where all would be well
    };
    const report = await runOn(world, unitWith({ observe }), { mode, signal: controller.signal });
    expect([mode, report.outcome]).toEqual([mode, "interrupted"]);
  }
  expect(world.read(NOTE)).toBe("old");
});

test("Ctrl-C at the question whether to go on is an interruption, not a no", async () => {
  const plan = () => [{ do: "write", path: "/etc/thing", content: "x", mode: 0o644 }] as const;
  const report = await runOn(world, unitWith({ plan }), {
    want: {},
    confirm: () => Promise.reject(new Interrupted("Ctrl-C")),
  });
  expect(report.outcome).toBe("interrupted");
  expect(world.exists("/etc/thing")).toBe(false);
});

test("an undo is over, and recorded, also where the host can't be looked at after it", async () => {
  await runOn(world, unitWith());
  const observe = () => Promise.reject(new Error("planted"));
  const said: string[] = [];
  const say = { ...SILENT, line: (text: string) => void said.push(text) };
  const report = await runOn(world, unitWith({ observe }), { mode: "undo", say });
  expect([report.outcome, world.read(NOTE)]).toEqual(["changed", "old"]);
  expect(said.join()).toContain("planted");
  expect(readJournal(probe()).map((one) => one.kind)).toEqual(["begin", "end", "begin", "end"]);
});

test("undo is refused before it begins where a folder of the run holds what came later", async () => {
  await runOn(world, unitWith());
  world.write(join(FOLDER, "mine"), "the operator's");
  const refused = await runOn(world, unitWith(), { mode: "undo" });
  expect(refused).toMatchObject({ outcome: "blocked", error: { id: "folder-in-use" } });
  expect(refused.error?.why).toContain(join(FOLDER, "mine"));
  expect(world.read(NOTE)).toBe("new");
  world.remove(join(FOLDER, "mine"));
  expect((await runOn(world, unitWith(), { mode: "undo" })).outcome).toBe("changed");
  expect([world.read(NOTE), world.exists(FOLDER)]).toEqual(["old", false]);
});

test("an undo that brought back a part can be done again, and then brings back the rest", async () => {
  await runOn(world, unitWith());
  const blob = readdirSync(world.path(snapshot())).find((name) => !/json$|^started$/.test(name));
  const kept = world.path(join(snapshot(), blob ?? "none"));
  rmSync(kept);
  writeFileSync(kept, "rotten");
  const broken = await runOn(world, unitWith(), { mode: "undo" });
  expect(broken.outcome).toBe("broken");
  expect(broken.left?.join()).toContain("is not what was kept");
  expect([world.read(NOTE), world.exists(FOLDER)]).toEqual(["new", false]); // never the rotten copy
  expect(standingRuns(readJournal(probe())).length).toBe(1);
  rmSync(kept);
  writeFileSync(kept, "old");
  expect((await runOn(world, unitWith(), { mode: "undo" })).outcome).toBe("changed");
  expect(world.read(NOTE)).toBe("old");
  expect(standingRuns(readJournal(probe()))).toEqual([]);
});

test("of two ends of one run the later counts", async () => {
  await runOn(world, unitWith());
  const entries = readJournal(probe());
  const [end] = standingRuns(entries);
  if (!end) throw new Error("nothing stands");
  const again = { ...end, index: end.index + 1, outcome: "rolled-back" as const, steps: 0 };
  expect(standingRuns([...entries, again])).toEqual([]);
});

test("a killed run whose snapshot is damaged is told as broken once, and stops nobody after that", async () => {
  const run = "20260101T000000000Z-aaaaaaaa-02_scaffold_dirs";
  world.write(join(SNAPSHOTS, run, "manifest.json"), "{");
  const begin = { kind: "begin", schema: 1, index: 0, at: "2026-01-01T00:00:00.000Z", run };
  world.write(JOURNAL, `${JSON.stringify({ ...begin, script: "02_scaffold_dirs", steps: [] })}\n`);
  expect((await runOn(world, unitWith())).outcome).toBe("changed");
  const [, killed] = pastRuns(probe());
  expect(killed).toMatchObject({ run, outcome: "broken" });
  expect(world.exists(join(SNAPSHOTS, run, "manifest.json"))).toBe(true);
});

test("a journal that can't be read is not taken for an empty one", async () => {
  await runOn(world, unitWith());
  world.write(JOURNAL, { folder: true });
  const report = await runOn(world, unitWith(), { mode: "undo" });
  expect(report).toMatchObject({ outcome: "blocked", error: { id: "journal-unreadable" } });
});

test("what stands in the way of the records is named, and is no bug of ours", async () => {
  for (const name of ["logs", "logs/journal", "runtime", "runtime/locks"]) {
    for (const file of ["a file", { link: "/nowhere" }]) {
      world.write(join(FAKE_HOME, name), file);
      const { outcome, error } = await runOn(world, unitWith());
      expect([name, outcome, error?.id === "bug"]).toEqual([name, "blocked", false]);
      expect(error?.fix?.length).toBeGreaterThan(0);
      world.remove(join(FAKE_HOME, name));
    }
  }
});

test("nothing in history_main.log drives the terminal that it is read on", async () => {
  const what = "\u001b[2J\u009b31m\u202eevil";
  const finding = { id: "sick", level: "fail", what, why: "so", evidence: "here" } as const;
  await runOn(world, unitWith({ diagnose: () => [finding] }));
  const history = world.read(join(FAKE_HOME, "history_main.log"));
  expect(history).toContain("evil");
  expect(history.trimEnd()).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
});
