/** Old snapshots are folded, not forgotten: undoing all still leads back to how the host was found. */
import { join } from "node:path";
import { expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { readJournal, standingRuns } from "../../lib/keep/journal.ts";
import { DEFAULT_CONFIG } from "../../lib/hosts/settings.ts";
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
