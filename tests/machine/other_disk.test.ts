/** Moving to another file system, which rename(2) refuses. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";

let world: FakeWorld;
let disk: string;
beforeEach(() => {
  world = fakeMachine({
    files: {
      [join(FAKE_HOME, "build", "bin", "program")]: { text: "#!", mode: 0o750 },
      [join(FAKE_HOME, "build", "current")]: { link: "bin" },
      [join(FAKE_HOME, "file")]: { text: "content", mode: 0o640 },
    },
  });
  disk = mkdtempSync(join(tmpdir(), "shelter-disk-"));
  symlinkSync(disk, world.path(join(FAKE_HOME, "disk")));
});
afterEach(() => {
  world.dispose();
  rmSync(disk, { recursive: true, force: true });
});
const act = () => createAct(world.machine, createProbe(world.machine, FAKE_HOME, "testhost"));
const oneDisk = () => lstatSync(world.root).dev === lstatSync(disk).dev;

test("a folder, a file and a link arrive as they were, and are gone where they were", () => {
  if (oneDisk()) console.warn("one file system here: rename(2) does it");
  symlinkSync("nowhere", world.path(join(FAKE_HOME, "link")));
  const was = world.picture(join(FAKE_HOME, "build"));
  const file = world.picture(join(FAKE_HOME, "file"));
  for (const name of ["build", "file", "link"]) {
    act().rename(join(FAKE_HOME, name), join(FAKE_HOME, "disk", name));
    expect(world.exists(join(FAKE_HOME, name))).toBe(false);
  }
  expect(lstatSync(join(disk, "link")).isSymbolicLink()).toBe(true);
  for (const name of ["build", "file", "link"]) {
    act().rename(join(FAKE_HOME, "disk", name), join(FAKE_HOME, name));
  }
  expect(world.picture(join(FAKE_HOME, "build"))).toEqual(was);
  expect(world.picture(join(FAKE_HOME, "file"))).toEqual(file);
});

test("a move that fails leaves what was there, and no half of a copy", () => {
  mkdirSync(join(disk, "taken", "by"), { recursive: true });
  expect(() => act().rename(join(FAKE_HOME, "build"), join(FAKE_HOME, "disk", "taken"))).toThrow();
  expect(world.exists(join(FAKE_HOME, "build", "bin", "program"))).toBe(true);
  expect(readdirSync(disk)).toEqual(["taken"]);
});
