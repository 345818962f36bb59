/** Taking back the runs of scripts that changed the same thing in turn. */
import { join } from "node:path";
import { expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { undo } from "../../lib/orchestra/undo.ts";
import type { ScriptId, Unit } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";

/** Writes `text` to the file `name` of the home. */
function writer(id: ScriptId, flag: string, name: string, text: string): Unit<string> {
  const path = join(FAKE_HOME, name);
  return {
    id,
    flag,
    summary: "Writes a file",
    needs: {},
    observe: (probe) => Promise.resolve(probe.text(path) ?? ""),
    diagnose: () => [],
    plan: (now) => (now === text ? [] : [{ do: "write", path, content: text, mode: 0o600 }]),
  };
}

test("a run whose snapshot holds an older one's too waits for what another script did in between", async () => {
  const world = fakeMachine({
    files: {
      [inHome.config(FAKE_HOME)]: "retention: {snapshots: 1}\n",
      [join(FAKE_HOME, "shared")]: "found",
    },
  });
  try {
    const first = "02_scaffold_dirs";
    const other = "00_check_structure";
    await runOn(world, writer(first, "dirs_scaffolded", "shared", "one"));
    await runOn(world, writer(other, "structure_checked", "shared", "two"));
    const last = writer(first, "dirs_scaffolded", "own", "three");
    await runOn(world, last);
    const spoken = await undo({
      machine: world.machine,
      place: { home: FAKE_HOME, host: "testhost" },
      probe: createProbe(world.machine, FAKE_HOME, "testhost"),
      want: { all: true, yes: true, json: true },
      units: {
        [first]: () => Promise.resolve({ unit: last }),
        [other]: () =>
          Promise.resolve({ unit: writer(other, "structure_checked", "shared", "two") }),
      },
    });
    expect([spoken.exit, spoken.json]).toMatchObject([0, { outcome: "changed" }]);
    expect([world.read(join(FAKE_HOME, "shared")), world.exists(join(FAKE_HOME, "own"))]).toEqual([
      "found",
      false,
    ]);
  } finally {
    world.dispose();
  }
});
