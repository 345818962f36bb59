/** What 04_llm_benchmark says unasked: each made to appear and to vanish. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Args } from "../../../lib/unit.ts";
import type { BenchFacts, BenchModel } from "../../../lib/llm/bench/facts.ts";
import {
  seriesOf,
  type BenchResult,
  type Conditions,
  type KeptResult,
} from "../../../lib/llm/bench/results.ts";
import { stat } from "../../../lib/llm/bench/stats.ts";
import { diagnoseBench } from "../../../lib/llm/bench/findings.ts";
import { slope, unaskedBench } from "../../../lib/llm/bench/unasked.ts";
import type { Policy } from "../../../lib/llm/governor.ts";
import type { Profile } from "../../../lib/llm/settings.ts";
import { BUILD_A, BUILD_B } from "../../support/bench_world.ts";
import { USUAL_PROFILE } from "../../support/profile.ts";

const HASH = "a".repeat(64);

function modelOf(profile: Profile = USUAL_PROFILE, tuned = true, build = BUILD_A): BenchModel {
  const at = "2026-02-01T00:00:00.000Z";
  return {
    name: "m",
    sha256: HASH,
    bytes: 1e9,
    profile,
    series: seriesOf(HASH, build, profile),
    ...(tuned
      ? {
          tuned: {
            schema: 1,
            at,
            model: "m",
            build,
            profile,
            gain: { chat: 1, rewrite: 1 },
            tried: [],
          },
        }
      : {}),
    paths: { result: "r", baseline: "b", tuned: "t" },
  };
}
function resultOf(
  generation: number,
  day: number,
  conditions: Conditions = {},
  build = BUILD_A,
): KeptResult {
  const result: BenchResult = {
    schema: 1,
    at: new Date(Date.UTC(2026, 1, day)).toISOString(),
    took_ms: 1,
    model: { name: "m", sha256: HASH, bytes: 1e9 },
    build,
    profile: USUAL_PROFILE,
    load: { prompt: 64, generate: 16 },
    bench: { prompt: stat([100]), generation: stat([generation]) },
    served: [],
    readyMs: 1,
    conditions,
  };
  return { path: "r", number: day, series: seriesOf(HASH, build, USUAL_PROFILE), result };
}
function policy(governor: string, preference?: string, driver = "intel_pstate"): Policy {
  return {
    path: "/sys/devices/system/cpu/cpufreq/policy0",
    choices: ["performance", "powersave"],
    driver,
    governor,
    ...(preference === undefined ? {} : { preference }),
  };
}
function factsOf(
  change: Partial<BenchFacts> = {},
  cpu: Partial<BenchFacts["cpu"]> = {},
): BenchFacts {
  return {
    now: Date.UTC(2026, 1, 20),
    since: 0,
    root: false,
    build: { id: BUILD_A, started: "2026-01-01T00:00:00.000Z" },
    otherBuilds: [],
    models: [modelOf()],
    results: [resultOf(100, 1)],
    damaged: [],
    baselines: [],
    floors: [],
    ...change,
    cpu: { logical: 8, physical: 4, policies: [], hybrid: false, ...cpu },
  };
}
const ids = (facts: BenchFacts) => unaskedBench(facts).map(({ id }) => id);
const said = (facts: BenchFacts, id: string) => unaskedBench(facts).find((one) => one.id === id);

test("--tune on a model that was tuned before says so, and names --again", () => {
  const found = (facts: BenchFacts, want: Args) =>
    diagnoseBench(facts, want).find((one) => one.id === "tuned-before-m");
  const facts = factsOf({ since: Date.UTC(2026, 1, 20) });
  expect(found(facts, { tune: true })?.fix).toEqual(
    expect.arrayContaining(["--tune", "--again", "--model", "m"]),
  );
  expect(found(facts, {})).toBeUndefined();
  expect(found(facts, { tune: true, again: true })).toBeUndefined();
  expect(
    found({ ...facts, models: [modelOf(USUAL_PROFILE, false)] }, { tune: true }),
  ).toBeUndefined();
  const justNow = { ...facts, since: Date.UTC(2026, 0, 31) };
  expect(found(justNow, { tune: true })).toBeUndefined();
});

test("nothing to say is said with nothing", () => {
  expect(ids(factsOf())).toEqual([]);
});

describe("each appears and vanishes", () => {
  test("turbo switched off", () => {
    expect(
      said(factsOf({}, { turbo: false, policies: [policy("performance")] }), "turbo-off")?.evidence,
    ).toContain("no_turbo");
    expect(ids(factsOf({}, { turbo: true }))).toEqual([]);
    expect(ids(factsOf())).toEqual([]); // unknown is not off
  });
  test("a governor that saves power", () => {
    expect(
      ids(factsOf({}, { policies: [policy("powersave", undefined, "acpi-cpufreq")] })),
    ).toEqual(["governor-powersave"]);
    expect(
      ids(factsOf({}, { policies: [policy("performance", undefined, "acpi-cpufreq")] })),
    ).toEqual([]);
  });
  test("with intel_pstate the preference counts, not the name of the governor", () => {
    expect(ids(factsOf({}, { policies: [policy("powersave", "balance_performance")] }))).toEqual(
      [],
    );
    const found = said(
      factsOf({}, { policies: [policy("powersave", "power")] }),
      "governor-powersave",
    );
    expect(found?.evidence).toContain("energy_performance_preference");
  });
  test("throttling while it was measured", () => {
    const hot = resultOf(100, 1, { throttled: { times: 3 }, celsius: { before: 60, most: 99 } });
    expect(said(factsOf({ results: [hot] }), "throttled-while-measured")?.what).toContain("99 °C");
    expect(ids(factsOf({ results: [resultOf(100, 1, { throttled: { times: 0 } })] }))).toEqual([]);
  });
  test("throttling since boot, where it was not while measuring", () => {
    expect(ids(factsOf({}, { throttled: { times: 7 } }))).toEqual(["throttled-since-boot"]);
    expect(ids(factsOf({}, { throttled: { times: 0 } }))).toEqual([]);
  });
  test("other programs at work meanwhile", () => {
    expect(ids(factsOf({ results: [resultOf(100, 1, { othersBusy: 0.5 })] }))).toEqual([
      "measured-while-busy",
    ]);
    expect(ids(factsOf({ results: [resultOf(100, 1, { othersBusy: 0.05 })] }))).toEqual([]);
  });
  test("a host on battery", () => {
    expect(ids(factsOf({ onBattery: true }))).toEqual(["on-battery"]);
    expect(ids(factsOf({ onBattery: false }))).toEqual([]);
  });
  test("cores that stay idle", () => {
    const single = { ...USUAL_PROFILE, threads: 1 };
    expect(said(factsOf({ models: [modelOf(single)] }), "idle-cores-m")?.what).toContain(
      "3 of 4 cores",
    );
    expect(ids(factsOf({ models: [modelOf({ ...USUAL_PROFILE, threads: 3 })] }))).toEqual([]); // tuned: it was found best
    expect(ids(factsOf({ models: [modelOf(single)] }, { hybrid: true }))).toEqual([]); // slow cores are left out on purpose
    expect(ids(factsOf({ models: [modelOf({ ...single, gpuLayers: 20 })] }))).toEqual([]);
  });
  test("figures older than the build", () => {
    const build = { id: BUILD_B, started: "2026-02-10T00:00:00.000Z" };
    const newer = { build, models: [modelOf(USUAL_PROFILE, true, BUILD_B)] };
    expect(ids(factsOf(newer))).toEqual(["older-than-build"]);
    expect(
      ids(factsOf({ ...newer, results: [resultOf(100, 1), resultOf(100, 12, {}, BUILD_B)] })),
    ).toEqual([]);
  });
  test("generation that falls in small steps", () => {
    const series = (values: readonly number[]) =>
      values.map((value, day) => resultOf(value, day + 1));
    const down = series([100, 99, 97, 96, 94, 93]);
    expect(said(factsOf({ results: down }), "trend-down-m")?.what).toContain(
      "99.5 tokens/s at first",
    );
    expect(ids(factsOf({ results: series([100, 99, 101, 100, 99, 100]) }))).toEqual([]);
    expect(ids(factsOf({ results: down.slice(0, 5) }))).toEqual([]); // too few to call it a trend
  });
  test("a profile that was never tuned", () => {
    expect(ids(factsOf({ models: [modelOf(USUAL_PROFILE, false)] }))).toEqual(["never-tuned"]);
    expect(ids(factsOf({ models: [modelOf(USUAL_PROFILE, false)], results: [] }))).toEqual([]);
  });
});

test("each finding has a reason, evidence and a command", () => {
  const worst = factsOf(
    {
      onBattery: true,
      models: [modelOf({ ...USUAL_PROFILE, threads: 1 }, false)],
      results: [],
    },
    { turbo: false, policies: [policy("conservative")], throttled: { times: 1 } },
  );
  const all = unaskedBench(worst);
  expect(all.length).toBeGreaterThanOrEqual(4);
  for (const { why, evidence, fix } of all) {
    expect(why.length).toBeGreaterThan(20);
    expect(evidence).not.toBe("");
    expect(fix?.length).toBeGreaterThan(0);
  }
});

test("one outlier does not turn the slope", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -1e4, max: 1e4, noNaN: true }),
      fc.nat({ max: 8 }),
      (outlier, at) => {
        const falling = Array.from({ length: 9 }, (_, i) => (i === at ? outlier : 100 - i));
        expect(slope(falling)).toBeLessThan(0);
      },
    ),
  );
});
