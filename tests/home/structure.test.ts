/** 00_check_structure on what is in a home: modes, owners, links, folders, left-overs. */
import { describe, expect, test } from "bun:test";
import { linkSync, lstatSync, utimesSync } from "node:fs";

import { DEFAULT_CONFIG_TEXT } from "../../lib/hosts/config_default.ts";
import { unit } from "../../scripts/00_check_structure.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeFile,
  type FakeMachineOptions,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { runOn } from "../support/run.ts";
import { keptForEachTest } from "../support/kept.ts";
import { at, find, look, scaffolded } from "../support/scaffolded.ts";

const keep = keptForEachTest();
const home = (files: Readonly<Record<string, FakeFile>> = {}, more: FakeMachineOptions = {}) =>
  scaffolded(keep, files, more);
const HOUR = 3_600_000;
const ROOT = process.getuid?.() === 0;
const modeOf = (world: FakeWorld, name: string) => lstatSync(world.path(at(name))).mode & 0o7777;
const older = (world: FakeWorld, name: string, ms: number) => {
  const time = (Date.now() - ms) / 1000;
  utimesSync(world.path(at(name)), time, time);
};

describe("what is no home", () => {
  const strange = () =>
    keep(
      fakeMachine({
        files: {
          [at("letters/to-her.txt")]: { text: "dear", mode: 0o666 },
          [at("bin/backup")]: { text: "#!/bin/sh", mode: 0o777 },
        },
      }),
    );

  test("a folder of somebody's is left alone, and the command that makes it a home is named", async () => {
    const world = strange();
    for (const turn of [1, 2]) {
      const report = await runOn(world, unit);
      expect([turn, report.outcome, report.error?.id]).toEqual([turn, "blocked", "no-home"]);
      expect(report.error?.fix).toEqual(["./bin/02_scaffold_dirs", "--home", FAKE_HOME]);
    }
    expect([modeOf(world, "letters/to-her.txt"), modeOf(world, "bin/backup")]).toEqual([
      0o666, 0o777,
    ]);
  });

  test("an empty folder, one with our programs and one that was made a home are none of that", async () => {
    const empty = keep(fakeMachine({ files: { [FAKE_HOME]: { folder: true } } }));
    expect((await runOn(empty, unit)).outcome).not.toBe("blocked");
    const binary = keep(fakeMachine({ files: { [at("bin/shelter")]: { text: "", mode: 0o777 } } }));
    expect((await runOn(binary, unit)).outcome).toBe("changed");
    const made = strange();
    expect((await runOn(made, scaffold)).outcome).toBe("changed");
    expect((await runOn(made, unit)).outcome).toBe("changed");
    expect(modeOf(made, "bin/backup")).toBe(0o755);
  });
});

describe("modes and owners", () => {
  test("a good home is left alone", async () => {
    const report = await look(await home());
    expect([
      report.outcome,
      report.findings.filter((one) => one.level !== "ok"),
      report.unasked,
    ]).toEqual(["converged", [], []]);
  });

  test("private keys that others could read are shut: ssh would refuse them", async () => {
    const world = await home({
      "runtime/identity": { folder: true, mode: 0o755 },
      "runtime/identity/mirror": { text: "private", mode: 0o644 },
      "runtime/identity/operator": { text: "private", mode: 0o666 },
      "runtime/trust/notes": { text: "whom it believes", mode: 0o644 },
      "runtime/work/keys/engine-1": { text: "key", mode: 0o644 },
      "runtime/work/other": { text: "no secret", mode: 0o644 },
    });
    expect(find(await look(world), "mode-open-secret")?.what).toContain("runtime/identity/mirror");
    await runOn(world, unit);
    expect(
      ["identity", "identity/mirror", "identity/operator", "trust/notes", "work/keys/engine-1"].map(
        (name) => modeOf(world, `runtime/${name}`).toString(8),
      ),
    ).toEqual(["700", "600", "600", "600", "600"]);
    expect(modeOf(world, "runtime/work/other")).toBe(0o644);
  });

  test("open settings, secrets and records are shut; what others could write is closed to them", async () => {
    const world = await home({
      "agents/api-key": "k",
      "scripts/x": { text: "", mode: 0o777 },
      "logs/old.log": "x",
    });
    world.write(at("shared.cfg"), { text: DEFAULT_CONFIG_TEXT, mode: 0o664 });
    const report = await look(world);
    // as JSON would write it
    expect(find(report, "mode-open-secret")?.what).toContain("agents/api-key (0644, 0600 wanted)");
    expect(find(report, "mode-open-record")?.what).toContain("logs/old.log");
    expect(find(report, "mode-writable")?.evidence).toBe("2 of them");
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(
      ["shared.cfg", "agents/api-key", "logs/old.log", "scripts/x"].map((name) =>
        modeOf(world, name),
      ),
    ).toEqual([0o600, 0o600, 0o600, 0o755]);
  });

  test("taking a repair back gives back modes alone, and never rewinds a record that was written since", async () => {
    const world = await home();
    const journal = "logs/journal/testhost/00000000.jsonl";
    world.write(at(journal), { text: world.read(at(journal)), mode: 0o644 });
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(modeOf(world, journal)).toBe(0o600);
    const lines = world.read(at(journal)).split("\n").length;
    expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
    expect(modeOf(world, journal)).toBe(0o644);
    expect(world.read(at(journal)).split("\n").length).toBeGreaterThan(lines);
  });

  test("nothing is changed through a link, and what leaves the home is named", async () => {
    const world = await home({
      "/outside/theirs": { text: "", mode: 0o666 },
      "agents/away": { link: "/outside/theirs" },
      "bin/tool": { link: "/usr/bin/tool" },
      "/usr/bin/tool": { text: "", mode: 0o755 },
      "venv/one/bin/python3": { link: "/usr/bin/tool" },
      "models/x.gguf": { link: "sha256/gone" },
      "agents/near": { link: "../shared.cfg" },
      "agents/top": { link: ".." },
    });
    // on the fake machine "/" is a folder, and an absolute link leads out of it: so each is made to lead to the same place
    for (const [name, target] of [
      ["agents/away", "/outside/theirs"],
      ["bin/tool", "/usr/bin/tool"],
      ["venv/one/bin/python3", "/usr/bin/tool"],
    ] as const) {
      world.write(at(name), { link: world.path(target) });
    }
    const report = await look(world);
    expect(report.outcome).toBe("converged");
    expect(find(report, "links-leave")?.what).toContain("1 link(s) leave the home: agents/away");
    expect(find(report, "links-dangle")?.what).toContain("models/x.gguf -> sha256/gone");
    await runOn(world, unit);
    expect(lstatSync(world.path("/outside/theirs")).mode & 0o777).toBe(0o666);
  });

  testUnless(needsRoot)(
    "root gives back what it left, but no second name of somebody else's file",
    async () => {
      const owner = 54_321;
      const world = keep(
        fakeMachine({
          me: { root: true },
          files: { [FAKE_HOME]: { folder: true, mode: 0o700, uid: owner } },
        }),
      );
      expect((await runOn(world, scaffold)).outcome).toBe("changed");
      world.write(at("logs/by-root"), { text: "", mode: 0o600, uid: 0 });
      world.write(at("agents/by-root"), { text: "", mode: 0o600, uid: 0 });
      world.write(at("logs/by-other"), { text: "", mode: 0o600, uid: 777 });
      world.write("/etc/shadow", { text: "secret", mode: 0o600 });
      linkSync(world.path("/etc/shadow"), world.path(at("logs/trap")));
      const report = await runOn(world, unit);
      expect(report.outcome).toBe("changed");
      const uid = (path: string) => lstatSync(world.path(path)).uid;
      expect(uid(at("logs/by-root"))).toBe(owner);
      expect([uid(at("agents/by-root")), uid(at("logs/by-other")), uid("/etc/shadow")]).toEqual([
        0, 777, 0,
      ]);
      expect(find(report, "owner-other")?.what).toContain("3 entries belong to somebody else");
      const me = { ...world.machine.me, root: false, uid: owner };
      const asUser = await runOn({ ...world, machine: { ...world.machine, me } }, unit, {
        mode: "plan",
      });
      expect(asUser.steps).toEqual([]);
    },
  );

  test("one file under many names is one step, and goes back to its owner if all of them are in the home", async () => {
    const owner = ROOT ? 54_321 : (process.getuid?.() ?? 0);
    const world = keep(
      fakeMachine({
        me: { root: ROOT },
        files: { [FAKE_HOME]: { folder: true, mode: 0o700, uid: owner } },
      }),
    );
    expect((await runOn(world, scaffold)).outcome).toBe("changed");
    world.write(at("bin/shelter"), { text: "program", mode: 0o777, uid: 0 });
    for (const name of ["00_check_structure", "08_shelter_cli"]) {
      linkSync(world.path(at("bin/shelter")), world.path(at(`bin/${name}`)));
    }
    const report = await runOn(world, unit);
    expect([
      report.outcome,
      report.steps.filter((step) => step.text.includes("/bin/")).length,
    ]).toEqual(["changed", 1]);
    expect(modeOf(world, "bin/shelter")).toBe(0o755);
    expect(lstatSync(world.path(at("bin/08_shelter_cli"))).uid).toBe(owner);
    expect((await look(world)).outcome).toBe("converged");
  });

  test("names are data: line breaks, escapes and options stay inside the report", async () => {
    const world = await home({
      "agents/a\nb\u001b[2J.key": { text: "", mode: 0o644 },
      "agents/-rf": { text: "", mode: 0o666 },
    });
    const report = await look(world);
    // as JSON would write it
    expect(find(report, "mode-open-secret")?.what).toContain("agents/a\\nb\\u001b[2J.key");
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(modeOf(world, "agents/a\nb\u001b[2J.key")).toBe(0o600);
    expect(modeOf(world, "agents/-rf")).toBe(0o644);
  });

  test("git's folder and node_modules are not looked into", async () => {
    const world = await home({
      ".git/x": { text: "", mode: 0o666 },
      "node_modules/y/z": { text: "", mode: 0o777 },
      "dashboards/node_modules/a": { text: "", mode: 0o666 },
    });
    expect((await look(world)).outcome).toBe("converged");
  });
});

describe("folders", () => {
  test("before the scaffolding they are 02's; after it a lost one is made anew", async () => {
    const bare = keep(fakeMachine());
    const first = await runOn(bare, unit);
    expect(first.outcome).toBe("converged");
    expect(find(first, "folders-missing")?.fix).toEqual(["./bin/02_scaffold_dirs"]);
    const world = await home();
    world.remove(at("models"));
    const report = await runOn(world, unit);
    expect(report.steps.map(({ text }) => text)).toHaveLength(2);
    expect(world.exists(at("models/sha256"))).toBe(true);
  });

  test("a file in a folder's place blocks and stays", async () => {
    const world = await home();
    world.remove(at("venv"));
    world.write(at("venv"), "mine");
    const report = await runOn(world, unit);
    expect([report.outcome, report.error?.id]).toEqual(["blocked", "in-the-way:venv"]);
    expect(world.read(at("venv"))).toBe("mine");
  });

  test("pipes are named and not touched", async () => {
    const world = await home();
    expect(Bun.spawnSync(["mkfifo", world.path(at("agents/pipe"))]).exitCode).toBe(0);
    const report = await look(world);
    expect([report.outcome, find(report, "oddities")?.what]).toEqual([
      "converged",
      expect.stringContaining("agents/pipe"),
    ]);
  });
});

describe("left-overs", () => {
  test("a temporary file goes when it is old and nobody has it open", async () => {
    const world = await home({
      "models/.shelter-tmp-aa": "half",
      "models/.shelter-tmp-bb": "half",
      "models/.shelter-tmp-cc": "half",
    });
    older(world, "models/.shelter-tmp-aa", 2 * HOUR);
    older(world, "models/.shelter-tmp-bb", 2 * HOUR);
    world.write("/proc/4242/fd/3", { link: at("models/.shelter-tmp-bb") });
    const report = await runOn(world, unit);
    expect(report.steps.map(({ text }) => text)).toEqual([
      expect.stringContaining("remove /home/op/.mountain_shelter/models/.shelter-tmp-aa"),
    ]);
    expect(["aa", "bb", "cc"].map((id) => world.exists(at(`models/.shelter-tmp-${id}`)))).toEqual([
      false,
      true,
      true,
    ]);
  });

  test("scratch space goes past its age, as shared.cfg has it; never what a process uses, nor while a run goes on", async () => {
    const files = {
      "runtime/work/fetch/aa/part": "x",
      "runtime/work/build/log": "x",
      "runtime/work/fetch/bb/part": "x",
    };
    const world = await home(files, { now: () => Date.now() + 20 * 24 * HOUR });
    world.write("/proc/4242/cwd", { link: at("runtime/work/build") });
    world.write("/proc/4242/comm", "ninja\n");
    const held = await look(world);
    expect(find(held, "work-used:runtime/work/build")?.what).toContain("ninja");
    const lock = at("runtime/locks/03_build_llama_cpp.lock/holder.json");
    world.write("/proc/4242/stat", `4242 (ninja x) S${" 0".repeat(18)} 999 0`);
    const boot = world.read("/proc/sys/kernel/random/boot_id").trim();
    world.write(
      lock,
      JSON.stringify({
        pid: 4242,
        started: "999",
        boot,
        script: "03_build_llama_cpp",
        since: new Date().toISOString(),
        nonce: "",
      }),
    );
    const busy = await runOn(world, unit);
    expect([busy.outcome, find(busy, "lock-held:03_build_llama_cpp")?.level]).toEqual([
      "converged",
      "info",
    ]);
    expect(world.exists(at("runtime/work/fetch/aa/part"))).toBe(true);
    world.remove(at("runtime/locks/03_build_llama_cpp.lock"));
    world.write(at("shared.cfg"), { text: "work: {max_age_days: 30}\n", mode: 0o600 });
    expect((await look(world)).outcome).toBe("converged");
    world.write(at("shared.cfg"), { text: "work: {max_age_days: 15}\n", mode: 0o600 });
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect([
      world.exists(at("runtime/work/fetch/aa")),
      world.exists(at("runtime/work/build/log")),
    ]).toEqual([false, true]);
    expect(world.exists(at("runtime/work/fetch"))).toBe(true);
  });

  test("a dead holder's lock is cleared; one that can't be read is named and stays", async () => {
    const holder = {
      pid: 77,
      started: "1",
      boot: "another",
      script: "04_llm_benchmark",
      since: "2026-01-01T00:00:00Z",
      nonce: "",
    };
    const world = await home({
      "runtime/locks/04_llm_benchmark.lock/holder.json": JSON.stringify(holder),
      "runtime/locks/03_install_models.lock/holder.json": "{",
    });
    const report = await runOn(world, unit);
    expect(report.outcome).toBe("changed");
    expect(world.exists(at("runtime/locks/04_llm_benchmark.lock"))).toBe(false);
    expect(world.exists(at("runtime/locks/03_install_models.lock"))).toBe(true);
    expect(find(report, "lock-damaged:03_install_models")?.fix?.[0]).toBe("rm");
  });
});
