/** Old snapshots are folded, not forgotten: undoing all still leads back to how the host was found. */
import { join } from "node:path";
import { expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { readJournal, standingRuns } from "../../lib/keep/journal.ts";
import { DEFAULT_CONFIG } from "../../lib/hosts/settings.ts";
import { pruneSnapshots } from "../../lib/keep/retention.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Unit } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";

const NOTE = join(FAKE_HOME, "things", "note");
const ONCE = join(FAKE_HOME, "things", "once");

/** Writes the wanted text; the first run also removes a folder, whose content then lives in a snapshot alone. */
const unit: Unit<{ readonly note: string | undefined; readonly once: boolean }> = {
  id: "02_scaffold_dirs",
  flag: "dirs_scaffolded",
  summary: "Writes a note",
  needs: {},
  flags: { text: { type: "string", description: "What to write" } },
  observe: (probe) =>
    Promise.resolve({ note: probe.text(NOTE), once: probe.stat(ONCE) !== undefined }),
  diagnose: () => [],
  plan: ({ note, once }, { text }) => [
    ...(once ? [{ do: "remove", path: ONCE } as const] : []),
    ...(note === text
      ? []
      : [{ do: "write", path: NOTE, content: String(text), mode: 0o600 } as const]),
  ],
};

test.each([
  ["as many as shared.cfg says", "retention: {snapshots: 3}\n", 3],
  ["the default number where it says nothing", "", DEFAULT_CONFIG.retention.snapshots],
])(
  "after more runs than snapshots are kept, %s, undoing all gives back what was found",
  async (_, config, KEPT) => {
    const world = fakeMachine({
      files: {
        [inHome.config(FAKE_HOME)]: config,
        [NOTE]: { text: "found", mode: 0o640 },
        [join(ONCE, "deep/file")]: "kept",
      },
    });
    try {
      const was = world.picture(join(FAKE_HOME, "things"));
      const runs = KEPT + 5;
      for (let n = 0; n < runs; n++) {
        expect((await runOn(world, unit, { want: { text: `text ${n}` } })).outcome).toBe("changed");
      }
      const probe = createProbe(world.machine, FAKE_HOME, "testhost");
      expect(probe.list(inHome.snapshots(FAKE_HOME)).length).toBe(KEPT);
      let undone = 0;
      while (standingRuns(readJournal(probe)).length > 0) {
        const report = await runOn(world, unit, { mode: "undo" });
        expect(report).toMatchObject({ outcome: "changed" });
        if (++undone === 1) expect(world.read(NOTE)).toBe(`text ${runs - 2}`);
      }
      expect(undone).toBe(KEPT);
      expect(world.picture(join(FAKE_HOME, "things"))).toEqual(was);
      expect(probe.list(inHome.snapshots(FAKE_HOME))).toEqual([]);
    } finally {
      world.dispose();
    }
  },
);

test("what a crash amid the folding left half copied is copied anew", async () => {
  const world = fakeMachine({
    files: { [NOTE]: "found", [join(ONCE, "deep/file")]: "kept" },
  });
  try {
    const was = world.picture(join(FAKE_HOME, "things"));
    for (const text of ["one", "two"]) await runOn(world, unit, { want: { text } });
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    const top = inHome.snapshots(FAKE_HOME);
    const [older = "", younger = ""] = probe.list(top);
    const copied = probe.list(join(top, older)).filter((name) => !/json$|^started$/.test(name));
    expect(copied.length).toBe(2); // the folder and the note
    for (const name of copied) {
      const folder = probe.stat(join(top, older, name))?.kind === "dir";
      world.write(join(top, younger, name), folder ? { folder: true } : "half");
    }
    pruneSnapshots(probe, createAct(world.machine, probe), unit.id, 1);
    expect(await runOn(world, unit, { mode: "undo" })).toMatchObject({ outcome: "changed" });
    expect(world.picture(join(FAKE_HOME, "things"))).toEqual(was);
  } finally {
    world.dispose();
  }
});

test("a snapshot that no journal line names is of a run killed before its first act, and goes", async () => {
  const world = fakeMachine({ files: { [NOTE]: "found" } });
  try {
    const orphan = `${inHome.snapshots(FAKE_HOME)}/20260101T000000000Z-aaaaaaaa-02_scaffold_dirs`;
    const others = `${inHome.snapshots(FAKE_HOME)}/20260101T000000000Z-bbbbbbbb-03_install_models`;
    for (const path of [orphan, others]) world.write(`${path}/manifest.json`, "{");
    expect((await runOn(world, unit, { want: { text: "new" } })).outcome).toBe("changed");
    expect([world.exists(orphan), world.exists(others)]).toEqual([false, true]);
  } finally {
    world.dispose();
  }
});
