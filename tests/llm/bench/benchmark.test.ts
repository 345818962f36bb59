/** 04_llm_benchmark on a fake machine whose engine has speeds that the test sets. */
import { describe, expect, test } from "bun:test";
import { EXIT } from "../../../lib/errors.ts";
import { observeBench } from "../../../lib/llm/bench/facts.ts";
import { parseBaseline, parseResult } from "../../../lib/llm/bench/results.ts";
import { inHome } from "../../../lib/keep/home.ts";
import { createProbe } from "../../../lib/machine/probe.ts";
import type { Args, RunReport } from "../../../lib/unit.ts";
import {
  BUILD_A,
  BUILD_B,
  benchWorld,
  QUICK,
  steadyBenchmark,
  type BenchWorld,
  type Speeds,
} from "../../support/bench_world.ts";
import { FAKE_HOME, type FakeWorld } from "../../support/fake_machine.ts";
import { keptForEachTest } from "../../support/kept.ts";
import { runOn } from "../../support/run.ts";

const keep = keptForEachTest();
function world(options: BenchWorld = {}): FakeWorld {
  return keep(benchWorld(options));
}
const run = (here: FakeWorld, want: Args = {}) =>
  runOn(here, steadyBenchmark, { want: { ...QUICK, ...want } });
const documents = (here: FakeWorld, kind: "results" | "baselines" | "profiles") =>
  here
    .picture(inHome.bench(FAKE_HOME, "testhost", kind))
    .map((line) => line.split(" ")[0] ?? "")
    .filter((path) => path.endsWith(".json"));
const fails = ({ findings }: RunReport) => findings.filter(({ level }) => level === "fail");
const flip = (here: FakeWorld, build: string) =>
  here.write(`${FAKE_HOME}/runtime/llama.cpp/current`, { link: build });

describe("a measurement", () => {
  test("keeps figures of llama-bench and of one, two and four requests at once, and a baseline", async () => {
    const here = world();
    expect((await run(here)).outcome).toBe("changed");
    const [path = ""] = documents(here, "results");
    const result = parseResult(here.read(path));
    expect(result?.build).toBe(BUILD_A);
    expect(result?.bench.generation.samples.length).toBeGreaterThanOrEqual(3);
    expect(result?.served.map(({ concurrent }) => concurrent)).toEqual([1, 2, 4]);
    for (const { prompt, generation, firstTokenMs } of result?.served ?? []) {
      expect(prompt.median).toBe(400);
      expect(generation.median).toBe(100);
      expect(firstTokenMs.samples.length).toBeGreaterThanOrEqual(3);
    }
    const [baseline = ""] = documents(here, "baselines");
    expect(parseBaseline(here.read(baseline))?.figures["served.generation"]?.median).toBe(100);
    expect(here.started.some((argv) => argv[0]?.endsWith("llama-bench"))).toBe(true);
  });

  test("leaves no engine, no key and no governor behind", async () => {
    const here = world({ root: true });
    await run(here);
    const governor = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor";
    expect(here.read(governor).trim()).toBe("powersave");
    expect(here.picture(inHome.keys(FAKE_HOME)).filter((line) => !line.includes("/ "))).toEqual([]);
  });

  test("sets the governor while it measures, where it may", async () => {
    const plan = async (root: boolean) =>
      (await runOn(world({ root }), steadyBenchmark, { want: QUICK, mode: "plan" })).steps.map(
        (step) => step.do,
      );
    expect(await plan(true)).toEqual(["set", "call"]);
    expect(await plan(false)).toEqual(["call"]);
  });

  test("is skipped for a week, and then made again", async () => {
    let now = Date.parse("2026-02-01T00:00:00Z");
    const here = world({ now: () => now });
    await run(here);
    now += 6 * 86_400_000;
    expect((await run(here)).outcome).toBe("converged");
    now += 2 * 86_400_000;
    expect((await run(here)).outcome).toBe("changed");
    expect(documents(here, "results").length).toBe(2);
  });

  test("--again measures once, and adds to the history", async () => {
    const here = world();
    await run(here);
    const first = documents(here, "results").map((path) => [path, here.read(path)]);
    expect((await run(here, { again: true })).outcome).toBe("changed");
    expect(documents(here, "results").length).toBe(2);
    for (const [path = "", text = ""] of first) expect(here.read(path)).toBe(text);
  });

  test("that fails gives the engine's words and leaves nothing", async () => {
    for (const crash of [{ bench: true }, { server: true }]) {
      const here = world({ crash, root: true });
      const report = await run(here);
      expect(report.outcome).toBe("rolled-back");
      expect(report.error?.why).toContain("failed to load model");
      expect(documents(here, "results")).toEqual([]);
      const governor = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor";
      expect(here.read(governor).trim()).toBe("powersave");
    }
  });

  test("of an unknown model, no model or no engine is blocked with the way on", async () => {
    const unknown = await run(world(), { model: "nope" });
    expect(fails(unknown)).toMatchObject([{ id: "model-unknown", why: "installed are: tiny" }]);
    expect(fails(await run(world({ models: [] })))).toMatchObject([
      { id: "no-model", fix: ["./bin/03_install_models"] },
    ]);
    expect(fails(await run(world({ builds: [] })))).toMatchObject([
      { id: "no-engine", fix: ["./bin/03_build_llama_cpp"] },
    ]);
  });

  test("a model that does not fit into memory is named, not measured", async () => {
    const here = world({ files: { "/proc/meminfo": "MemTotal: 1 kB\nMemAvailable: 0 kB\n" } });
    expect(fails(await run(here))).toMatchObject([{ id: "no-room" }]);
  });
});

describe("below the baseline", () => {
  const slower = (speeds: Speeds) => {
    speeds[BUILD_A] = { prompt: 400, generation: 80 };
  };

  test("ends with 15, keeps the result, and says what fell", async () => {
    const speeds: Speeds = { [BUILD_A]: { prompt: 400, generation: 100 } };
    const here = world({ speeds });
    await run(here);
    slower(speeds);
    const report = await run(here, { again: true });
    expect(report.outcome).toBe("below-baseline");
    expect(EXIT[report.outcome]).toBe(15);
    const [fall] = fails(report);
    expect(fall?.what).toContain("20 % less");
    expect(fall?.fix).toEqual(["./bin/04_llm_benchmark", "--again"]);
    expect(documents(here, "results").length).toBe(2);
    // and goes on saying so until it is measured again, or accepted
    expect((await run(here)).outcome).toBe("below-baseline");
    speeds[BUILD_A] = { prompt: 400, generation: 100 };
    expect((await run(here, { again: true })).outcome).toBe("changed");
  });

  test("a new build that is slower than the last good one offers to go back", async () => {
    const speeds: Speeds = { [BUILD_B]: { prompt: 300, generation: 100 } };
    const here = world({ builds: [BUILD_A, BUILD_B], live: BUILD_A, speeds });
    await run(here);
    flip(here, BUILD_B);
    const report = await run(here);
    expect(report.outcome).toBe("below-baseline");
    expect(fails(report)[0]?.fix).toEqual(["./bin/03_build_llama_cpp", "--undo"]);
    expect(fails(report)[0]?.why).toContain(BUILD_A);
    expect(documents(here, "baselines").length).toBe(1); // the slow build sets no measure
    flip(here, BUILD_A);
    expect((await run(here)).outcome).toBe("converged");
  });

  test("--accept takes the slower figures as the new measure", async () => {
    const speeds: Speeds = {};
    const here = world({ speeds });
    await run(here);
    slower(speeds);
    expect((await run(here, { again: true })).outcome).toBe("below-baseline");
    expect((await run(here, { accept: true })).outcome).toBe("changed");
    expect((await run(here)).outcome).toBe("converged");
  });

  test("the operator's own floor in shared.cfg counts too, on this host and for this model alone", async () => {
    const floor = (text: string) => ({
      files: { [`${FAKE_HOME}/shared.cfg`]: `baselines: {${text}}\n` },
    });
    const speeds: Speeds = { [BUILD_A]: { prompt: 400, generation: 100 } };
    const short = await run(
      world({ speeds, ...floor("testhost: {tiny: {prompt: 300, generation: 150}}") }),
    );
    expect([short.outcome, EXIT[short.outcome]]).toEqual(["below-baseline", 15]);
    expect(fails(short)[0]?.what).toMatch(/generation 100\.0 .* instead of 150 tokens\/s$/);
    for (const met of [
      "testhost: {tiny: {prompt: 300, generation: 99}}",
      "shadow: {tiny: {generation: 150}}",
      "testhost: {other: {generation: 150}}",
    ]) {
      expect((await run(world({ speeds, ...floor(met) }))).outcome).toBe("changed");
    }
  });

  test("is measured twice before it is said", async () => {
    const speeds: Speeds = {};
    const here = world({ speeds });
    await run(here);
    slower(speeds);
    const lines: string[] = [];
    await runOn(here, steadyBenchmark, {
      want: { ...QUICK, again: true },
      say: {
        line: (text) => {
          lines.push(text);
          speeds[BUILD_A] = { prompt: 400, generation: 100 }; // it was a passing cloud
        },
        detail: () => undefined,
        progress: () => undefined,
        stream: () => undefined,
      },
    });
    expect(lines.join()).toContain("measuring once more");
    expect((await run(here)).outcome).toBe("converged");
  });

  test("a faster result raises the measure", async () => {
    const speeds: Speeds = {};
    const here = world({ speeds });
    await run(here);
    speeds[BUILD_A] = { prompt: 400, generation: 130 };
    await run(here, { again: true });
    speeds[BUILD_A] = { prompt: 400, generation: 100 };
    expect((await run(here, { again: true })).outcome).toBe("below-baseline");
  });
});

describe("documents that are damaged", () => {
  test("are named and left alone, and nothing is written over them", async () => {
    const here = world();
    await run(here);
    const [path = ""] = documents(here, "results");
    for (const text of ["", "{", "null", '{"schema":1}', "\u001b[2J"]) {
      here.write(path, text);
      const report = await run(here);
      expect(report.findings.map(({ id }) => id)).toContain("result-damaged");
      expect(here.read(path)).toBe(text);
    }
  });
  test("a baseline that is none is set anew", async () => {
    const here = world();
    await run(here);
    const [path = ""] = documents(here, "baselines");
    here.write(path, "{}");
    await run(here, { again: true });
    expect(parseBaseline(here.read(path))?.figures["bench.prompt"]?.median).toBeGreaterThan(0);
  });
});

test("what decides freshness is the build, the model and the profile", async () => {
  const here = world();
  await run(here);
  const probe = createProbe(here.machine, FAKE_HOME, "testhost");
  const facts = await observeBench(probe, {});
  expect(facts.results[0]?.series.build).toBe(BUILD_A);
  here.write("/proc/cpuinfo", "processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\n");
  expect((await run(here)).outcome).toBe("changed"); // one core: another default profile
});
