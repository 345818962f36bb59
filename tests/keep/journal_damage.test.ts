/** A damaged journal is told apart from a torn line, is named with its line, and takes no finished run back. */
import { join } from "node:path";
import { beforeEach, expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { appendEntry, readJournal, standingRuns } from "../../lib/keep/journal.ts";
import { damageLine, journalDamage } from "../../lib/keep/journal_damage.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { status } from "../../lib/orchestra/status.ts";
import type { Unit } from "../../lib/unit.ts";
import { unit as check } from "../../scripts/00_check_structure.ts";
import { JOURNAL } from "../support/cut_off.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";

const NOTE = join(FAKE_HOME, "note");
const unit: Unit<string> = {
  id: "02_scaffold_dirs",
  flag: "dirs_scaffolded",
  summary: "Writes a note",
  needs: {},
  flags: { text: { type: "string", description: "What to write" } },
  observe: (probe) => Promise.resolve(probe.text(NOTE) ?? ""),
  diagnose: () => [],
  plan: (note, { text }) =>
    text === undefined || note === text
      ? []
      : [{ do: "write", path: NOTE, content: String(text), mode: 0o600 }],
};
const other: Unit<string> = { ...unit, id: "01_host_inventory", flag: "inventory_taken" };

const kept = keptForEachTest();
let world: FakeWorld;
beforeEach(() => {
  world = kept(fakeMachine());
});
const probe = () => createProbe(world.machine, FAKE_HOME, "testhost");
const write = (text: string) => runOn(world, unit, { want: { yes: true, text } });
const lines = () => world.read(JOURNAL).trimEnd().split("\n");
const setLines = (all: readonly string[], end = "\n") =>
  world.write(JOURNAL, { text: all.join("\n") + end, mode: 0o600 });
const flip = (line: string) => line.replace('"kind"', '"kin\u0001"');
const append = (run: string) =>
  appendEntry(probe(), createAct(world.machine, probe()), {
    kind: "begin",
    run,
    script: "02_scaffold_dirs",
    steps: [],
  });
const finishing = { others: () => Promise.resolve(unit as Unit) };

test("a torn line is no damage, neither as the last one nor once the journal went on after it", async () => {
  await write("a");
  setLines([...lines(), '{"at":"2026'], "");
  expect(journalDamage(probe())).toEqual([]);
  await append("b");
  expect(lines().length).toBe(4);
  expect(journalDamage(probe())).toEqual([]);
});

test("an unreadable line is named, also when entries were added right after it or lines are gone", async () => {
  await write("a");
  const [begin = "", end = ""] = lines();
  setLines([begin, flip(end)]);
  expect(journalDamage(probe())).toMatchObject([{ path: JOURNAL, line: 2, after: 0 }]);
  expect((await append("b")).index).toBe(2);
  expect(journalDamage(probe())).toMatchObject([{ line: 2, after: 0 }]);
  setLines([begin, "garbage", '{"at":"x"', lines().at(-1) ?? ""]);
  expect(journalDamage(probe()).map(({ line }) => line)).toEqual([2, 3]);
  setLines([begin, lines().at(-1) ?? ""]);
  expect(journalDamage(probe()).map(damageLine)).toEqual([
    `the journal is damaged: ${JOURNAL}, line 2: 1 entries before it are gone`,
  ]);
});

test("a finished run whose end is damaged is not taken back by another script, and --undo still can", async () => {
  await write("a");
  const [begin = "", end = ""] = lines();
  setLines([begin, flip(end)]);
  for (const evidence of ["status", "snapshot"]) {
    const copy = lines();
    if (evidence === "snapshot") world.remove(join(FAKE_HOME, "status"));
    const report = await runOn(world, other, finishing);
    expect(report.findings.map(({ what }) => what).join()).toContain("can't be read");
    expect(world.read(NOTE)).toBe("a");
    expect(standingRuns(readJournal(probe()))).toMatchObject([{ outcome: "changed", steps: 1 }]);
    if (evidence === "status") setLines(copy);
  }
  expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
  expect(world.exists(NOTE)).toBe(false);
});

test("an older run whose end is damaged stays below the younger ones, and the status is not its", async () => {
  await write("a");
  await write("b");
  const [one = "", two = "", three = "", four = ""] = lines();
  setLines([one, flip(two), three, four]);
  const told = world.read(inHome.status(FAKE_HOME, "testhost", "dirs_scaffolded"));
  await runOn(world, other, finishing);
  expect(world.read(NOTE)).toBe("b");
  expect(world.read(inHome.status(FAKE_HOME, "testhost", "dirs_scaffolded"))).toBe(told);
  await runOn(world, unit, { mode: "undo" });
  expect(world.read(NOTE)).toBe("a");
  await runOn(world, unit, { mode: "undo" });
  expect(world.exists(NOTE)).toBe(false);
});

test("an undo whose end is damaged is over", async () => {
  await write("a");
  await runOn(world, unit, { mode: "undo" });
  const all = lines();
  setLines([...all.slice(0, 3), flip(all[3] ?? "")]);
  world.write(NOTE, "mine");
  await runOn(world, other, finishing);
  expect(world.read(NOTE)).toBe("mine");
  expect(standingRuns(readJournal(probe()))).toEqual([]);
});

test("a journal that is gone is told where snapshots tell of runs, and these are kept", async () => {
  await write("a");
  world.remove(JOURNAL);
  const [snapshot = "none"] = probe().list(inHome.snapshots(FAKE_HOME));
  expect(journalDamage(probe()).map(({ why }) => why)).toEqual([
    expect.stringContaining(snapshot) as unknown as string,
  ]);
  await write("b");
  expect(probe().list(inHome.snapshots(FAKE_HOME))).toContain(snapshot);
});

test("00_check_structure names file and line of the damage, and a command that shows it", async () => {
  await write("a");
  expect(JSON.stringify(await runOn(world, check, { mode: "plan" }))).not.toContain("journal-dam");
  setLines(lines().map((line, index) => (index === 1 ? flip(line) : line)));
  const report = await runOn(world, check, { mode: "plan" });
  const found = report.findings.find(({ id }) => id === "journal-damaged:0");
  expect(found).toMatchObject({ level: "warn", fix: ["sed", "-n", "2p", JOURNAL] });
  expect(found?.what).toContain(`${JOURNAL}, line 2`);
});

test("status says it too", async () => {
  await write("a");
  setLines(lines().map((line, index) => (index === 0 ? flip(line) : line)));
  const desk = {
    machine: world.machine,
    place: { home: FAKE_HOME, host: "testhost" },
    probe: probe(),
    want: {},
    units: {},
  };
  const { lines: told, json } = await status(desk);
  expect(told.join("\n")).toContain(`the journal is damaged: ${JOURNAL}, line 1`);
  expect(JSON.stringify(json)).toContain("line 1");
  expect(told.join("\n")).not.toContain("cut off");
  setLines(
    lines()
      .slice(0, 1)
      .map((line) => line.replace("kin\u0001", "kind"))
      .concat("garbage"),
  );
  const { lines: open } = await status(desk);
  expect(open.join("\n")).toContain("its next run looks whether it ended, and if not, takes that");
});
