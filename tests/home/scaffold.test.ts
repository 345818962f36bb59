/** 02_scaffold_dirs: the home is made whole, and what an operator wrote stays. */
import { expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { foldersOf } from "../../lib/home/layout.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/02_scaffold_dirs.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeMachineOptions,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";

const keep = keptForEachTest();
function machine(options: FakeMachineOptions = {}): FakeWorld {
  return keep(fakeMachine(options));
}
const at = (name: string) => join(FAKE_HOME, name);
const modeOf = (world: FakeWorld, path: string) =>
  (lstatSync(world.path(path)).mode & 0o7777).toString(8);
const ids = (report: RunReport) => report.unasked.map(({ id }) => id);

test("a missing home is made whole: each folder 0700, shared.cfg 0600 with what explains it", async () => {
  const world = machine();
  const before = process.umask(0o077);
  try {
    expect((await runOn(world, unit)).outcome).toBe("changed");
  } finally {
    process.umask(before);
  }
  for (const { path } of foldersOf(FAKE_HOME, "testhost")) {
    expect([path, modeOf(world, path)]).toEqual([path, "700"]);
  }
  expect(world.read(at("shared.cfg"))).toBe(DEFAULT_CONFIG_TEXT);
  expect(modeOf(world, at("shared.cfg"))).toBe("600");
});

test("what an operator wrote is never overwritten, be it right or wrong", async () => {
  for (const text of ["hosts: {phantom: {user: rc}}\n", "", "work: {max_age_days: never}\n"]) {
    const world = machine({ files: { [at("shared.cfg")]: text } });
    await runOn(world, unit);
    expect(world.read(at("shared.cfg"))).toBe(text);
  }
});

test("a damaged shared.cfg is moved aside whole before a fresh one is written, and undo brings it back", async () => {
  const text = "hosts: [\n";
  const world = machine({ files: { [at("shared.cfg")]: { text, mode: 0o640 } } });
  expect((await runOn(world, unit)).outcome).toBe("changed");
  expect(world.read(at("shared.cfg"))).toBe(DEFAULT_CONFIG_TEXT);
  const aside =
    world
      .picture(FAKE_HOME)
      .find((line) => line.includes("shared.cfg.damaged-"))
      ?.split(" ")[0] ?? "";
  expect(world.read(aside)).toBe(text);
  expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
  expect([
    world.read(at("shared.cfg")),
    modeOf(world, at("shared.cfg")),
    world.exists(aside),
  ]).toEqual([text, "640", false]);
});

test("two damaged files in one second both stay", async () => {
  const time = Date.now();
  const world = machine({ now: () => time });
  for (const text of ["one: [\n", "two: [\n"]) {
    world.write(at("shared.cfg"), text);
    expect((await runOn(world, unit)).outcome).toBe("changed");
  }
  const kept = world.picture(FAKE_HOME).filter((line) => line.includes("shared.cfg.damaged-"));
  expect(kept.map((line) => world.read(line.split(" ")[0] ?? "")).sort()).toEqual([
    "one: [\n",
    "two: [\n",
  ]);
});

test("a folder behind an operator's link is used as it is, and a link that leads nowhere blocks", async () => {
  const world = machine({
    files: { "/big": { folder: true, mode: 0o755 }, "/big/sha256": { folder: true, mode: 0o755 } },
  });
  world.write(at("models"), { link: world.path("/big") });
  expect((await runOn(world, unit)).outcome).toBe("changed");
  expect([modeOf(world, "/big"), modeOf(world, "/big/sha256")]).toEqual(["755", "755"]);
  const lost = machine({ files: { [at("models")]: { link: "/gone" } } });
  const report = await runOn(lost, unit);
  expect([report.outcome, report.error?.id]).toEqual(["blocked", "in-the-way:models"]);
});

test("a file in the way blocks, and nothing else is made", async () => {
  const world = machine({ files: { [at("logs")]: "mine" } });
  const report = await runOn(world, unit, { mode: "plan" });
  expect([report.outcome, report.findings[0]?.fix]).toEqual([
    "blocked",
    ["mv", at("logs"), at("logs.aside")],
  ]);
});

test("somebody else's home is not made by a user, and the command for it is told", async () => {
  const world = machine({ me: { uid: 4711 } });
  const probe = { ...world, machine: { ...world.machine } };
  world.write(FAKE_HOME, { folder: true, mode: 0o755 });
  const report = await runOn(probe, unit, { mode: "plan" });
  expect(report.findings.find(({ id }) => id === "not-yours")?.fix?.slice(0, 2)).toEqual([
    "sudo",
    "-u",
  ]);
});

test("nobody asked: alone, not in its own settings, another home, no address; each goes with its reason", async () => {
  const asked = async (text: string) =>
    ids(await runOn(machine({ files: { [at("shared.cfg")]: text } }), unit, { mode: "plan" }));
  expect(await asked("models: []\n")).toEqual(["alone"]);
  expect(await asked("hosts: {phantom: {address: p.lan}, shadow: {address: s.lan}}\n")).toEqual([
    "not-in-config",
  ]);
  expect(await asked("hosts: {testhost: {home: /elsewhere}, shadow: {}}\n")).toEqual([
    "other-home",
    "no-address",
  ]);
  expect(
    await asked(`hosts: {testhost: {home: ${FAKE_HOME}}, shadow: {address: s.lan}}\n`),
  ).toEqual([]);
});
