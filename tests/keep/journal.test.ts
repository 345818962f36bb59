/** The journal's index across files and torn lines, and the views that follow from it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { recordEnd } from "../../lib/engine/record.ts";
import { inHome } from "../../lib/keep/home.ts";
import {
  appendEntry,
  canonical,
  readJournal,
  type Entry,
  type NewEntry,
} from "../../lib/keep/journal.ts";
import { lastEnd, readStatus, statusText } from "../../lib/keep/status.ts";
import { createAct, type Act } from "../../lib/machine/act.ts";
import { createProbe, type Probe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { SILENT } from "../support/run.ts";

const FOLDER = inHome.journal(FAKE_HOME, "testhost");
const begin = (run: string): NewEntry => ({
  kind: "begin",
  run,
  script: "02_scaffold_dirs",
  steps: [],
});
const END = {
  run: "a",
  script: "02_scaffold_dirs",
  outcome: "changed",
  took_ms: 1,
  steps: 1,
  log_sha256: "",
  flag: "dirs_scaffolded",
  fingerprint: "",
  facts: null,
} as const;

let world: FakeWorld;
let probe: Probe;
let act: Act;
let now = 0;
beforeEach(() => {
  world = fakeMachine({ now: () => (now += 7) }); // no two looks at the clock agree
  probe = createProbe(world.machine, FAKE_HOME, "testhost");
  act = createAct(world.machine, probe);
});
afterEach(() => world.dispose());

test("a new file begins after a thousand entries, and the index goes on", async () => {
  const lines = Array.from({ length: 999 }, (_, index) =>
    canonical({ ...begin("x"), schema: 1, index, at: "2026-01-01T00:00:00.000Z" } as never),
  );
  world.write(`${FOLDER}/00000000.jsonl`, { text: `${lines.join("\n")}\n`, mode: 0o600 });
  for (const run of ["a", "b", "c"]) await appendEntry(probe, act, begin(run));
  expect(probe.list(FOLDER)).toEqual(["00000000.jsonl", "00001000.jsonl"]);
  expect(readJournal(probe).map((one) => one.index)).toEqual(
    Array.from({ length: 1002 }, (_, i) => i),
  );
});

test("a new file whose only line was torn still goes on where it began", async () => {
  world.write(`${FOLDER}/00001000.jsonl`, { text: '{"index":1000,"ki', mode: 0o600 });
  expect((await appendEntry(probe, act, begin("a"))).index).toBe(1000);
  expect((await appendEntry(probe, act, begin("b"))).index).toBe(1001);
});

test("the status is exactly what the journal gives, time and all", async () => {
  await recordEnd({ probe, act, say: SILENT }, END);
  const end = lastEnd(probe, "dirs_scaffolded");
  expect(end && statusText("testhost", end)).toBe(
    world.read(inHome.status(FAKE_HOME, "testhost", "dirs_scaffolded")),
  );
});

test("a view that can't be written is said, and the run is over all the same", async () => {
  world.write(`${FAKE_HOME}/status`, "a file where the folder should be");
  const said: string[] = [];
  await recordEnd({ probe, act, say: { ...SILENT, line: (text) => said.push(text) } }, END);
  expect(lastEnd(probe, "dirs_scaffolded")?.outcome).toBe("changed");
  expect(said.join()).toContain("00_check_structure rebuilds it");
  expect(readStatus(probe, "dirs_scaffolded")).toBeUndefined();
});

test("many processes that append at once leave no gap, no double and no torn line", async () => {
  const home = mkdtempSync(join(tmpdir(), "shelter-journal-"));
  try {
    const writer = resolve(import.meta.dir, "../support/journal_writer.ts");
    const writers = Array.from({ length: 6 }, () =>
      Bun.spawn([process.execPath, writer, home, "40"], { stdio: ["ignore", "ignore", "inherit"] }),
    );
    for (const one of writers) expect(await one.exited).toBe(0);
    const folder = inHome.journal(home, "testhost");
    const lines = readFileSync(join(folder, "00000000.jsonl"), "utf8").trimEnd().split("\n");
    const entries = lines.map((line) => JSON.parse(line) as Entry);
    expect(entries.map((one) => one.index)).toEqual(Array.from({ length: 240 }, (_, i) => i));
    expect(new Set(entries.map((one) => one.run)).size).toBe(240);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}, 60_000);

test("an entry whose run's name would lead out of the snapshots is none", () => {
  const entry = {
    kind: "begin",
    schema: 1,
    index: 0,
    at: "",
    script: "02_scaffold_dirs",
    steps: [],
  };
  const names = ["../../etc", "..", "", "a/b", 7, "20260101T000000000Z-aaaaaaaa-02_scaffold_dirs"];
  world.write(
    join(FOLDER, "00000000.jsonl"),
    names.map((run) => `${JSON.stringify({ ...entry, run })}\n`).join(""),
  );
  expect(readJournal(probe).map((one) => one.run)).toEqual(names.slice(-1) as string[]);
});
