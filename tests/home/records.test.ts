/** 00_check_structure on records: status files and shared.cfg. */
import { describe, expect, test } from "bun:test";
import { chmodSync, truncateSync, utimesSync } from "node:fs";
import { allowCommand } from "../../lib/hosts/alert_command.ts";
import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/00_check_structure.ts";
import { FAKE_HOME, type FakeFile, type FakeMachineOptions } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";
import { at, find, look, scaffolded } from "../support/scaffolded.ts";

const keep = keptForEachTest();
const home = (files: Readonly<Record<string, FakeFile>> = {}, more: FakeMachineOptions = {}) =>
  scaffolded(keep, files, more);
const HOUR = 3_600_000;
const GIB = 1024 ** 3;

describe("status files", () => {
  test("a damaged one is named with its line, moved aside whole and rebuilt from the journal", async () => {
    const world = await home();
    const file = at("status/testhost/dirs_scaffolded.json");
    const good = world.read(file);
    world.write(file, { text: good.replace('"outcome"', "outcome"), mode: 0o600 });
    const report = await look(world);
    expect(find(report, "status-damaged:dirs_scaffolded")?.what).toMatch(
      /line 6, column 3: a name in quotes is missing/,
    );
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(world.read(file)).toBe(good);
    const aside = world
      .picture(at("status/testhost"))
      .filter((line) => line.includes("dirs_scaffolded.json.damaged-"));
    expect(aside).toHaveLength(1);
  });

  test("a lost or outdated one is rebuilt too", async () => {
    const world = await home();
    const file = at("status/testhost/dirs_scaffolded.json");
    const good = world.read(file);
    world.remove(file);
    expect(find(await look(world), "status-outdated:dirs_scaffolded")?.what).toContain(
      "is missing",
    );
    await runOn(world, unit);
    expect(world.read(file)).toBe(good);
    world.write(file, { text: good.replace(/"index": \d+/, '"index": 0'), mode: 0o600 });
    expect(find(await look(world), "status-outdated:dirs_scaffolded")?.what).toContain(
      "older than the journal",
    );
    await runOn(world, unit);
    expect(world.read(file)).toBe(good);
  });
});

describe("shared.cfg", () => {
  test("a damaged one is named with its line, moved aside whole, and a fresh one written", async () => {
    const world = await home({ "shared.cfg": { text: "hosts:\n  phantom: [\n", mode: 0o600 } });
    expect(find(await look(world), "config-damaged")?.what).toMatch(/line \d+, column \d+/);
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(world.read(at("shared.cfg"))).toBe(DEFAULT_CONFIG_TEXT);
    const after = await look(world);
    const [copy] = find(after, "config-copies")?.evidence.split(", ") ?? [];
    expect(world.read(copy ?? "")).toBe("hosts:\n  phantom: [\n");
    world.remove(copy ?? "");
    expect(find(await look(world), "config-copies")).toBeUndefined();
  });

  test("a wrong value blocks with its line, and the file is left to its owner", async () => {
    const text = "work:\n  max_age_days: never\n";
    const world = await home({ "shared.cfg": { text, mode: 0o600 } });
    const report = await runOn(world, unit);
    expect([report.outcome, report.error?.id]).toEqual([
      "blocked",
      "config-invalid:work.max_age_days",
    ]);
    expect(report.error?.what).toContain("line 2, column 3");
    expect(world.read(at("shared.cfg"))).toBe(text);
  });

  test("a command for alerts that was not allowed on this host is said, with what allows it, until it is", async () => {
    const text = 'alerts: {command: [/usr/local/bin/tell, "--me"]}\n';
    const world = await home({ "shared.cfg": { text, mode: 0o600 } });
    const found = find(await look(world), "alerts-command-not-allowed");
    expect(found?.what).toContain('["/usr/local/bin/tell","--me"]');
    expect(found?.fix).toEqual(["./bin/shelter", "watch", "--allow-command"]);
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    allowCommand(probe, createAct(world.machine, probe), ["/usr/local/bin/tell", "--me"]);
    expect(find(await look(world), "alerts-command-not-allowed")).toBeUndefined();
  });

  test("an unknown key is said and blocks nothing", async () => {
    const report = await look(
      await home({ "shared.cfg": { text: "colour: gold\n", mode: 0o600 } }),
    );
    expect([report.outcome, find(report, "config-unknown-key:colour")?.level]).toEqual([
      "converged",
      "info",
    ]);
  });
});

describe("what nobody asked about", () => {
  test("appears with its reason and goes with it", async () => {
    const again = await home({
      "runtime/quarantine/bad.gguf": "damaged",
      ".shared.cfg.swp": { text: "", mode: 0o600 },
      "agents/later": "x",
      "runtime/work/fetch/aa/part": "",
      "/proc/self/mounts": "none / ext4 rw 0 0\nnone /home/op ext4 rw,noexec 0 0\n",
    });
    truncateSync(again.path(at("runtime/work/fetch/aa/part")), 5 * GIB + 1);
    const soon = (Date.now() + 5 * HOUR) / 1000;
    utimesSync(again.path(at("agents/later")), soon, soon);
    chmodSync(again.path("/home/op"), 0o777);
    const ids = (report: RunReport) => report.unasked.map(({ id }) => id);
    expect(ids(await look(again))).toEqual([
      "open-above",
      "no-exec",
      "unsaved-edit",
      "from-the-future",
      "quarantine",
      "work-large",
    ]);
    chmodSync(again.path("/home/op"), 0o700);
    again.write("/proc/self/mounts", "none / ext4 rw 0 0\n");
    for (const name of ["runtime/quarantine/bad.gguf", ".shared.cfg.swp", "agents/later"])
      again.remove(at(name));
    truncateSync(again.path(at("runtime/work/fetch/aa/part")), 5 * GIB);
    expect(ids(await look(again))).toEqual([]);
  });
});
