/** The real engine measured, held against a baseline, tuned and interrupted. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import {
  baselinePath,
  parseResult,
  seriesOf,
  type BenchResult,
} from "../../lib/llm/bench/results.ts";
import { liveBuild, type Build } from "../../lib/llm/builds.ts";
import { defaultProfile, profileFacts } from "../../lib/llm/profile.ts";
import { startServer } from "../../lib/llm/server.ts";
import { installedModels, type InstalledModel } from "../../lib/llm/store.ts";
import { tunedPath, tunedProfile } from "../../lib/llm/tuned.ts";
import type { Profile } from "../../lib/llm/settings.ts";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe, type Probe } from "../../lib/machine/probe.ts";
import { engineCopy, ENGINE_WAY, runEngine } from "../support/engine_home.ts";
import { documentOf, faultsOf, journalOf, start, type TestHome } from "../support/program.ts";
import { SILENT } from "../support/run.ts";

const SCRIPT = "04_llm_benchmark";
const MINUTES = 60_000;
const QUICK = ["--preheat", "1", "--yes", "--json"];

let place: TestHome;
let probe: Probe;
let build: Build;
let model: InstalledModel;
let usual: Profile;

beforeAll(async () => {
  place = await engineCopy("a höme");
  // the host that the runs find by themselves is the only one that they leave figures of
  probe = createProbe(thisMachine(), place.home, "unknown");
  const live = liveBuild(probe);
  const [installed] = await installedModels(probe);
  if (!live || !installed) throw new Error("the shared home has no live build, or no model");
  [build, model] = [live, installed];
  usual = defaultProfile(profileFacts(probe, model, build));
}, 40 * MINUTES);
afterAll(() => place.dispose());

const results = (): readonly BenchResult[] => {
  const top = join(place.home, "runtime/bench", probe.host, "results");
  if (!existsSync(top)) return [];
  return readdirSync(top, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .sort()
    .flatMap((name) => parseResult(readFileSync(join(top, name), "utf8")) ?? []);
};
/** Engines of this home that run, by the command lines in /proc. */
function enginesRunning(): readonly number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8");
      return line.includes(join(build.folder, "bin/")) ? [Number(name)] : [];
    } catch {
      return []; // it has ended
    }
  });
}
async function untilNoneRuns(): Promise<readonly number[]> {
  for (let i = 0; i < 50 && enginesRunning().length > 0; i++) await Bun.sleep(100);
  return enginesRunning();
}

test(
  "measures the live build: speeds, first token, memory, and a baseline",
  async () => {
    const ended = await runEngine(SCRIPT, QUICK, place);
    const report = documentOf(ended);
    expect({ code: ended.code, outcome: report.outcome }).toEqual({ code: 0, outcome: "changed" });
    probe = createProbe(thisMachine(), place.home, report.host);
    const [result] = results();
    if (!result) throw new Error("it left no result");
    expect(result.bench.prompt.samples.length).toBeGreaterThanOrEqual(3);
    expect(result.bench.generation.median).toBeGreaterThan(0);
    expect(result.served.map(({ concurrent }) => concurrent)).toEqual([1, 2, 4]);
    for (const { prompt, generation, firstTokenMs, total } of result.served) {
      for (const { median } of [prompt, generation, firstTokenMs, total]) {
        expect(median).toBeGreaterThan(0);
      }
      expect(generation.samples.length).toBeGreaterThanOrEqual(3);
    }
    // the weights are mapped, so they count
    expect(result.rss).toBeGreaterThan(model.bytes * 0.8);
    expect(result.rss).toBeLessThan(model.bytes * 3 + 2 ** 30);
    expect(result.conditions.othersBusy).toBeGreaterThanOrEqual(0);
    expect(await untilNoneRuns()).toEqual([]);
  },
  20 * MINUTES,
);

test("measured of late, it has nothing to do", async () => {
  for (const flag of ["--plan", "--verify", "--yes"]) {
    const report = documentOf(await runEngine(SCRIPT, [flag, "--json"], place));
    expect({ flag, outcome: report.outcome }).toEqual({ flag, outcome: "converged" });
  }
  expect(results().length).toBe(1);
});

test("a fall below the baseline ends with 15 and names the way back", async () => {
  const path = baselinePath(probe, seriesOf(model.sha256, build.id, usual));
  const kept = readFileSync(path, "utf8");
  // as if this host had once been twenty times as fast
  const faster = JSON.parse(kept) as { figures: Record<string, { samples: number[] }> };
  for (const figure of Object.values(faster.figures)) {
    figure.samples = figure.samples.map((sample) => sample * 20);
  }
  writeFileSync(path, JSON.stringify(faster));
  const ended = await runEngine(SCRIPT, ["--json"], place);
  const report = documentOf(ended);
  expect({ code: ended.code, outcome: report.outcome }).toEqual({
    code: 15,
    outcome: "below-baseline",
  });
  expect(report.error?.fix?.length).toBeGreaterThan(0);
  writeFileSync(path, kept);
  expect((await runEngine(SCRIPT, ["--json"], place)).code).toBe(0);
});

describe("tuning", () => {
  test(
    "finds and beats a planted slow profile",
    async () => {
      const path = tunedPath(probe, model, build);
      mkdirSync(dirname(path), { recursive: true });
      const slow: Profile = { ...usual, threads: 1, batch: 16, ubatch: 8, flashAttention: "off" };
      const planted = {
        schema: 1,
        at: new Date(0).toISOString(),
        model: model.name,
        build: build.id,
        profile: slow,
        gain: { chat: 1, rewrite: 1 },
        tried: [],
      };
      writeFileSync(`${path}.new`, JSON.stringify(planted));
      renameSync(`${path}.new`, path);
      const ended = await runEngine(SCRIPT, ["--tune", "--budget", "240", ...QUICK], place);
      // a busy machine may measure the tuned profile below an earlier figure: that is not asked here
      expect({ fine: [0, 15].includes(ended.code), error: documentOf(ended).error }).toMatchObject({
        fine: true,
      });
      const found = tunedProfile(probe, model, build);
      if (!found) throw new Error("it left no tuned profile");
      expect(found.profile).not.toEqual(slow);
      expect(Math.max(found.gain.chat, found.gain.rewrite)).toBeGreaterThan(1.1);
      expect(Math.min(found.gain.chat, found.gain.rewrite)).toBeGreaterThan(0.9);
      expect(found.tried.length).toBeGreaterThan(3);
      expect(await untilNoneRuns()).toEqual([]);
    },
    25 * MINUTES,
  );

  test("says that the file's quantisation is the slow part, with the alternative measured", async () => {
    const quantisation = tunedProfile(probe, model, build)?.quantisation;
    if (model.head.quantisation !== "Q4_1") return; // another model has another answer
    expect(quantisation?.own.type).toBe("Q4_1");
    expect(quantisation?.others.map(({ type }) => type)).toEqual(["Q4_0", "Q8_0"]);
    expect(
      existsSync(join(place.home, "runtime/work/requantised", model.sha256.slice(0, 16))),
    ).toBe(false);
  });
});

describe("interrupted", () => {
  const untilServing = async () => {
    for (let i = 0; i < 600 && enginesRunning().length === 0; i++) await Bun.sleep(100);
    expect(enginesRunning().length).toBeGreaterThan(0);
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGKILL", 137],
  ] as const) {
    test(
      `by ${signal} it leaves no engine, no key and no figure`,
      async () => {
        const before = results().length;
        const child = start(ENGINE_WAY, SCRIPT, ["--again", "--preheat", "60", "--yes"], place);
        await untilServing();
        await Bun.sleep(1000);
        child.kill(signal);
        expect(await child.exited).toBe(code);
        expect(await untilNoneRuns()).toEqual([]);
        expect(results().length).toBe(before);
        if (signal === "SIGKILL") {
          // what a kill left is finished by the next run, which has nothing to measure itself
          expect([0, 15]).toContain((await runEngine(SCRIPT, ["--json"], place)).code);
          expect(results().length).toBe(before);
          const { lines, torn } = journalOf(place.home);
          expect({ faults: faultsOf(lines), torn }).toEqual({ faults: [], torn: 0 });
        }
        const keys = join(place.home, "runtime/work/keys");
        if (signal === "SIGINT" && existsSync(keys)) expect(readdirSync(keys)).toEqual([]);
      },
      5 * MINUTES,
    );
  }
});

test(
  "a GPU that a build for the CPU alone can't use is no silent fall back",
  async () => {
    if (build.info.backends.some((one) => one !== "cpu")) return;
    const context = {
      probe,
      act: createAct(thisMachine(), probe),
      say: SILENT,
      signal: new AbortController().signal,
    };
    const asked = startServer(context, { build, model, profile: { ...usual, gpuLayers: 10 } });
    await expect(asked).rejects.toMatchObject({ id: "gpu-not-used" });
    expect(await untilNoneRuns()).toEqual([]);
  },
  MINUTES,
);
