/** Root at work in a home that belongs to somebody else. */
import { expect } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Unit } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine, type FakeFile } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { runOn } from "../support/run.ts";

const OWNER = 54_321;
const NOTE = join(FAKE_HOME, "note");
const unit: Unit<string> = {
  id: "02_scaffold_dirs",
  flag: "dirs_scaffolded",
  summary: "Writes a note",
  needs: {},
  observe: (probe) => Promise.resolve(probe.text(NOTE) ?? ""),
  diagnose: () => [],
  plan: (note) =>
    note === "new" ? [] : [{ do: "write", path: NOTE, content: "new", mode: 0o600 }],
};

const keep = keptForEachTest();
/** `links` lead from names in the home to paths of the fake machine. */
function withLinks(links: Readonly<Record<string, string>>, files: Record<string, FakeFile> = {}) {
  const world = fakeMachine({
    me: { root: true },
    files: {
      "/etc/passwd": "root",
      [FAKE_HOME]: { folder: true, uid: OWNER },
      ...files,
    },
  });
  keep(world);
  for (const [name, to] of Object.entries(links)) {
    world.write(join(FAKE_HOME, name), { link: world.path(to) });
  }
  return world;
}

testUnless(needsRoot)("is not led out of it to what is not its owner's", async () => {
  for (const name of ["logs", "logs/journal", "runtime", "runtime/snapshots", "runtime/locks"]) {
    const world = withLinks({ [name]: "/etc" });
    const { outcome, error } = await runOn(world, unit);
    expect([name, outcome, error?.id]).toEqual([name, "blocked", "leads-out"]);
    expect(world.picture("/etc").length).toBe(2);
  }
  for (const [name, to] of [
    ["status", "/etc"],
    ["history_main.log", "/etc/passwd"],
    ["history_main.log", "/etc/new"],
  ] as const) {
    const world = withLinks({ [name]: to });
    const before = world.picture("/etc");
    expect((await runOn(world, unit)).outcome).toBe("changed"); // a view that is behind is said
    expect(world.picture("/etc")).toEqual(before);
  }
});

testUnless(needsRoot)(
  "follows a link to the owner's own folder, and replaces links as such",
  async () => {
    const world = withLinks(
      { runtime: "/mnt/big", note: "/etc/passwd" },
      {
        "/mnt/big": { folder: true, uid: OWNER },
      },
    );
    const { outcome } = await runOn(world, {
      ...unit,
      observe: (probe) => {
        const now = probe.stat(NOTE);
        return Promise.resolve(now?.kind === "file" ? "new" : "");
      },
    });
    expect(outcome).toBe("changed");
    expect([world.read(NOTE), world.read("/etc/passwd")]).toEqual(["new", "root"]);
    expect(world.exists("/mnt/big/snapshots")).toBe(true);
  },
);

testUnless(needsRoot)("copies a folder with the owners of what is in it", () => {
  const world = withLinks({}, { [join(FAKE_HOME, "old", "mine")]: { text: "x", uid: OWNER } });
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  createAct(world.machine, probe).copyFolder(join(FAKE_HOME, "old"), join(FAKE_HOME, "new"));
  expect(lstatSync(world.path(join(FAKE_HOME, "new", "mine"))).uid).toBe(OWNER);
});
