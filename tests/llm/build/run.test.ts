/** Whole runs of 03_build_llama_cpp on a fake host on which things go wrong. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { liveBuild } from "../../../lib/llm/builds.ts";
import { TINY_PINS, type Behaviour, fakeEngineHost } from "../../support/fake_engine.ts";
import { buildUnit } from "../../../lib/llm/build/unit.ts";
import { createProbe } from "../../../lib/machine/probe.ts";
import type { Args, RunReport } from "../../../lib/unit.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeProgram,
  type FakeWorld,
} from "../../support/fake_machine.ts";
import { keptForEachTest } from "../../support/kept.ts";
import { runOn } from "../../support/run.ts";

const unit = buildUnit(TINY_PINS);
const keep = keptForEachTest();

function host(options: Parameters<typeof fakeEngineHost>[0] = {}): FakeWorld {
  return keep(fakeMachine(fakeEngineHost(options)));
}
const run = (world: FakeWorld, want: Args = {}) =>
  runOn(world, unit, { want: { yes: true, ...want } });
const look = (world: FakeWorld, mode: "plan" | "verify" | "undo") =>
  runOn(world, unit, { mode, want: { yes: true, [mode]: true } });
const probe = (world: FakeWorld) => createProbe(world.machine, FAKE_HOME, "testhost");
const live = (world: FakeWorld) => liveBuild(probe(world));
const engines = (world: FakeWorld) =>
  probe(world)
    .list(join(FAKE_HOME, "runtime/llama.cpp"))
    .filter((name) => name.startsWith("b-"));
const because = (report: RunReport) => `${report.error?.what}: ${report.error?.why}`;

describe("the proof", () => {
  test("what was built, proven and linked is what serves", async () => {
    const world = host();
    expect((await run(world)).outcome).toBe("changed");
    const build = live(world);
    expect(build?.info.backends).toEqual(["cpu"]);
    expect(Object.keys(build?.info.files ?? {})).toContain("bin/llama-server");
    const proof = JSON.parse(world.read(join(build?.folder ?? "", "proof.json"))) as unknown;
    expect(proof).toMatchObject({ answer: "Paris.", agreed: { cpu: { right: 3, of: 3 } } });
  });
  test("an engine that computes something else never goes live, and the live one stays", async () => {
    const behaviour: Behaviour = {};
    const world = host({ behaviour, compiler: "g++ (Debian) 12.2.0" });
    await run(world);
    const before = live(world)?.id;
    behaviour.wrongOn = "cpu";
    const again = await run(world, { without: "vulkan,cuda" }); // the same parts, so nothing changes
    expect(again.outcome).toBe("converged");
    world.write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Another CPU\nflags\t\t: avx2\n");
    const report = await run(world);
    expect(report.outcome).toBe("rolled-back");
    expect(because(report)).toContain("only 0 of 3 next tokens are the reference's");
    expect(live(world)?.id).toBe(before ?? "");
    expect(engines(world)).toEqual([before ?? ""]);
  });
  test("a GPU that computes wrong is left out by the next run, which says why, until it is asked for", async () => {
    const behaviour: Behaviour = { wrongOn: "gpu" };
    const world = host({ gpu: true, behaviour });
    const first = await run(world);
    expect(first.outcome).toBe("rolled-back");
    expect(because(first)).toContain("the next run builds without vulkan");
    const second = await run(world);
    expect(second.outcome).toBe("changed");
    expect(live(world)?.info.backends).toEqual(["cpu"]);
    const finding = second.findings.find((one) => one.id === "vulkan-not-built");
    expect(finding?.what).toContain("failed the smoke test here");
    expect((await run(world)).outcome).toBe("converged");
    delete behaviour.wrongOn;
    expect((await run(world, { with: "vulkan" })).outcome).toBe("changed");
    expect(live(world)?.info.backends).toEqual(["cpu", "vulkan"]);
    expect((await run(world)).outcome).toBe("converged"); // the wish stands
    expect((await run(world, { without: "vulkan" })).outcome).toBe("changed");
    expect(live(world)?.info.backends).toEqual(["cpu"]);
  });
  test("an engine that dies is told with its last words", async () => {
    const report = await run(host({ behaviour: { crashes: true } }));
    expect(report.outcome).toBe("rolled-back");
    expect(because(report)).toContain("Segmentation fault");
  });
  test("a matrix unit that makes the engine die is put right, and left out where that is not enough", async () => {
    const behaviour: Behaviour = { crashes: true };
    const world = host({ amx: true, behaviour });
    const plan = await look(world, "plan");
    expect(plan.findings.map((one) => one.id)).toContain("amx-put-right");
    const first = await run(world);
    expect(because(first)).toContain("the next run builds without amx");
    const header = `${FAKE_HOME}/runtime/work/llama.cpp/workarounds/amx-tile-config.h`;
    expect(world.read(header)).toContain("ldtilecfg");
    behaviour.crashes = false;
    expect((await run(world)).outcome).toBe("changed");
    expect(live(world)?.info.flags).toContain("CMAKE_CXX_FLAGS=-mno-amx-int8 -mno-amx-tile");
    expect(live(world)?.info.inputs["workaround amx-tile-config"]).toBeUndefined();
  });
  test("a proof alone is taken back alone", async () => {
    const world = host();
    await run(world);
    const proof = join(live(world)?.folder ?? "", "proof.json");
    world.remove(proof);
    expect((await look(world, "plan")).steps.map((one) => one.text)).toHaveLength(1);
    expect((await run(world)).outcome).toBe("changed");
    expect(world.exists(proof)).toBe(true);
    expect((await look(world, "undo")).outcome).toBe("changed");
    expect(world.exists(proof)).toBe(false);
    expect(live(world)).toBeDefined();
  });
  test("a damaged model is not held against the build", async () => {
    const world = host({ gpu: true });
    const model = `${FAKE_HOME}/models/sha256/${TINY_PINS.reference.model}`;
    world.write(model, "the model with 32 bytes that lie");
    const report = await run(world);
    expect(report.outcome).toBe("corrupt");
    expect(report.error?.id).toBe("model-damaged");
    expect((await look(world, "plan")).steps.map((one) => one.text).join()).toContain("vulkan");
  });
});

describe("source and compiler", () => {
  test("another tree than the pinned one is never compiled", async () => {
    const world = host({ behaviour: { tree: "0".repeat(40) } });
    const report = await run(world);
    expect(report.outcome).toBe("corrupt");
    expect(because(report)).toContain("its tree is 000");
    expect(world.started.some((argv) => argv.some((word) => word.endsWith("cmake")))).toBe(false);
  });
  test("upstream is asked where no package has it", async () => {
    const world = host({ source: "upstream" });
    expect((await run(world)).outcome).toBe("changed");
    const asked = world.started.find((argv) => argv.some((word) => word.startsWith("https://")));
    expect(asked).toEqual(
      expect.arrayContaining(["protocol.allow=never", "core.hooksPath=/dev/null"]),
    );
    expect((await run(world)).outcome).toBe("converged");
  });
  test("where nobody has it, every reason is given", async () => {
    const report = await run(host({ source: "nowhere" }));
    expect(report.outcome).toBe("rolled-back");
    expect(report.error?.id).toBe("no-source");
    expect(because(report)).toContain("no route to host");
    expect(report.error?.fix).toEqual(["npm", "install", "node-llama-cpp@3.22.1"]);
  });
  test("a compiler's error is named, its whole output kept, and the next run goes on", async () => {
    const behaviour: Behaviour = { compileError: "ggml.c:7:1: error: unknown type name 'spam'" };
    const world = host({ behaviour });
    const report = await run(world);
    expect(report.outcome).toBe("rolled-back");
    expect(because(report)).toContain("unknown type name 'spam'");
    expect(world.read(report.error?.fix?.at(-1) ?? "")).toContain("spam");
    delete behaviour.compileError;
    const plan = await look(world, "plan");
    expect(plan.findings.map((one) => one.id)).toContain("build-begun");
    expect((await run(world)).outcome).toBe("changed");
  });
  test("a build that goes on counts the time of the run before it", async () => {
    const behaviour: Behaviour = { compileError: "error: cut short" };
    const world = host({ behaviour });
    await run(world);
    const work = `${FAKE_HOME}/runtime/work/llama.cpp`;
    const tree = probe(world)
      .list(work)
      .find((name) => world.exists(join(work, name, "spent.json")));
    const spent = join(work, tree ?? "", "spent.json");
    expect(JSON.parse(world.read(spent))).toEqual({ ms: expect.any(Number) });
    world.write(spent, JSON.stringify({ ms: 600_000 }));
    delete behaviour.compileError;
    expect((await run(world)).outcome).toBe("changed");
    expect(live(world)?.info.took_ms).toBeGreaterThan(600_000);
    expect(live(world)?.info.took_ms).toBeLessThan(660_000);
  });
  test("a full disk is named as such", async () => {
    const compileError = "cc1plus: fatal error: error writing to /tmp/x.s: No space left on device";
    const report = await run(host({ behaviour: { compileError } }));
    expect(report.error?.id).toBe("disk-full");
  });
  test("root neither compiles nor runs what was built: both are the home's owner's part", async () => {
    const options = fakeEngineHost();
    const { programs = {} } = options;
    const inner: FakeProgram = (argv, ...rest) => {
      const command = argv.slice(argv.indexOf("--") + 1);
      return programs[command[0]?.split("/").at(-1) ?? ""]?.(command, ...rest) ?? { code: 127 };
    };
    const world = fakeMachine({
      ...options,
      programs: { ...programs, setpriv: inner },
      me: { uid: 999_999, root: true },
    });
    keep(world);
    expect((await run(world)).outcome).toBe("changed");
    const builders = world.started.filter((argv) =>
      /\b(git|cmake|ninja|llama-server)$/.test(builder(argv)),
    );
    expect(builders.length).toBeGreaterThan(5);
    expect(builders.map(builder).some((one) => one.endsWith("llama-server"))).toBe(true);
    for (const argv of builders) {
      expect(argv.slice(0, 2)).toEqual(["setpriv", `--reuid=${probe(world).owner.uid}`]);
    }
  });
  test("a source folder that somebody changed is unpacked anew", async () => {
    const world = host();
    await run(world);
    const folder = probe(world)
      .list(`${FAKE_HOME}/runtime/work/llama.cpp`)
      .find((name) => name.startsWith("source-"));
    const planted = `${FAKE_HOME}/runtime/work/llama.cpp/${folder}/planted.cmake`;
    world.write(planted, "message(pwned)");
    world.write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Another CPU\nflags\t\t: avx2\n");
    expect((await run(world)).outcome).toBe("changed");
    expect(world.exists(planted)).toBe(false);
  });
});

/** The word of a command line that builds. */
function builder(argv: readonly string[]): string {
  return argv.find((word) => /^(git|.*\/cmake|.*\/ninja|.*\/llama-server)$/.test(word)) ?? "";
}

describe("generations", () => {
  test("a new compiler gets a build beside the live one; undo flips the link back", async () => {
    const world = host();
    await run(world);
    const first = live(world)?.id;
    world.write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Another CPU\nflags\t\t: avx2\n");
    const report = await run(world);
    expect(report.outcome).toBe("changed");
    const second = live(world)?.id;
    expect(second).not.toBe(first);
    expect(engines(world)).toHaveLength(2);
    expect((await look(world, "undo")).outcome).toBe("changed");
    expect(live(world)?.id).toBe(first ?? "");
  });
  test("a damaged live build: --verify says corrupt, the next run mends it and keeps the evidence", async () => {
    const world = host();
    await run(world);
    const server = live(world)?.program("llama-server") ?? "";
    const was = world.read(server);
    world.write(server, { text: was.replace("llama", "LLAMA"), mode: 0o755 });
    const verified = await look(world, "verify");
    expect(verified.outcome).toBe("corrupt");
    expect((await run(world)).outcome).toBe("changed");
    expect((await look(world, "verify")).outcome).toBe("converged");
    expect(world.read(live(world)?.program("llama-server") ?? "")).toBe(was);
    const kept = `${FAKE_HOME}/runtime/quarantine/engine-1/bin/llama-server`;
    expect(world.read(kept)).toContain("LLAMA");
  });
  test("missing, shortened and unrunnable programs are damage too", async () => {
    const spoil: readonly ((world: FakeWorld, path: string) => void)[] = [
      (world, path) => world.remove(path),
      (world, path) => world.write(path, { text: "short", mode: 0o755 }),
      (world, path) => world.write(path, { text: world.read(path), mode: 0o644 }),
    ];
    for (const one of spoil) {
      const world = host();
      await run(world);
      one(world, live(world)?.program("llama-bench") ?? "");
      expect((await look(world, "verify")).outcome).toBe("corrupt");
    }
  });
  test("a build-info that is no build-info is no build", async () => {
    const world = host();
    await run(world);
    const build = live(world);
    world.write(
      join(build?.folder ?? "", "build-info.json"),
      '{"schema":1,"files":{"../../x":{}}}',
    );
    expect(live(world)).toBeUndefined();
    const report = await look(world, "plan");
    expect(report.findings.map((one) => one.id)).toContain("live-build-gone");
  });
});
