/** Counters while measuring: what is read, what is reckoned from it, and what is left unknown. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  parseTicks,
  readSensors,
  readTurbo,
  summary,
  throttleCount,
} from "../../../lib/llm/bench/sensors.ts";
import { parseBench } from "../../../lib/llm/bench/llama_bench.ts";
import { chooseLoad, chooseRepetitions } from "../../../lib/llm/bench/measure.ts";
import { plot } from "../../../lib/llm/bench/plot.ts";
import { stat } from "../../../lib/llm/bench/stats.ts";
import { createProbe } from "../../../lib/machine/probe.ts";
import { fakeMachine, FAKE_HOME, type FakeFile } from "../../support/fake_machine.ts";

function probed<T>(
  files: Record<string, FakeFile>,
  look: (probe: ReturnType<typeof createProbe>) => T,
): T {
  const world = fakeMachine({ files });
  try {
    return look(createProbe(world.machine, FAKE_HOME, "testhost"));
  } finally {
    world.dispose();
  }
}

describe("sensors", () => {
  test("of a laptop: the processor's own temperature, mean clock, package throttling, energy", () => {
    const cpu = "/sys/devices/system/cpu";
    const read = probed(
      {
        "/sys/class/hwmon/hwmon0/name": "nvme\n",
        "/sys/class/hwmon/hwmon0/temp1_input": "95000\n",
        "/sys/class/hwmon/hwmon1/name": "coretemp\n",
        "/sys/class/hwmon/hwmon1/temp1_input": "61000\n",
        "/sys/class/hwmon/hwmon1/temp2_input": "64000\n",
        [`${cpu}/cpufreq/policy0/scaling_cur_freq`]: "3000000\n",
        [`${cpu}/cpufreq/policy1/scaling_cur_freq`]: "2000000\n",
        [`${cpu}/cpu0/thermal_throttle/package_throttle_count`]: "12\n",
        [`${cpu}/cpu0/thermal_throttle/core_throttle_count`]: "3\n",
        [`${cpu}/cpu1/thermal_throttle/package_throttle_count`]: "12\n",
        [`${cpu}/cpu0/thermal_throttle/package_throttle_total_time_ms`]: "340\n",
        "/sys/class/powercap/intel-rapl:0/energy_uj": "1000000\n",
        "/sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850\n",
        "/proc/stat": "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n",
      },
      readSensors,
    );
    expect(read).toEqual({
      celsius: 64,
      clock: 2.5e9,
      throttled: { times: 12, ms: 340 },
      energy: { microjoules: 1_000_000, wraps: 262_143_328_850 },
      ticks: { all: 1000, busy: 150 },
    });
  });
  test("that are not there leave nothing, and no zero", () => {
    expect(probed({}, readSensors)).toEqual({});
    expect(probed({}, throttleCount)).toBeUndefined();
    expect(probed({}, readTurbo)).toBeUndefined();
    expect(probed({ "/sys/devices/system/cpu/intel_pstate/no_turbo": "1\n" }, readTurbo)).toBe(
      false,
    );
    expect(probed({ "/sys/devices/system/cpu/cpufreq/boost": "1\n" }, readTurbo)).toBe(true);
  });
  test("nonsense in a counter is no reading", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const ticks = parseTicks(text);
        if (ticks) expect(ticks.busy).toBeLessThanOrEqual(ticks.all);
      }),
    );
  });
});

describe("a row of readings", () => {
  test("gives differences, also where the energy counter starts again", () => {
    const conditions = summary(
      [
        {
          celsius: 50,
          throttled: { times: 2, ms: 5 },
          energy: { microjoules: 9e6, wraps: 10e6 },
          ticks: { all: 1000, busy: 100 },
        },
        { celsius: 80, clock: 3e9 },
        {
          celsius: 70,
          clock: 2e9,
          throttled: { times: 5, ms: 25 },
          energy: { microjoules: 4e6, wraps: 10e6 },
          ticks: { all: 2000, busy: 900 },
        },
      ],
      1000,
      600,
    );
    expect(conditions).toEqual({
      celsius: { before: 50, most: 80 },
      clock: { mean: 2.5e9, most: 3e9 },
      throttled: { times: 3, ms: 20 },
      energy: { joules: 5, watts: 5 },
      othersBusy: 0.2,
    });
  });
  test("of nothing says nothing", () => {
    expect(summary([], 1000)).toEqual({});
    expect(summary([{}, {}], 1000, 5)).toEqual({});
  });
});

describe("llama-bench's JSON", () => {
  // recorded from llama-bench v0.5.0 on SmolLM2-135M-Instruct Q4_1, shortened to what is read
  const RECORDED = `[
  { "build_commit": "de3ff81", "model_type": "llama 256M Q4_1", "n_threads": 2, "n_prompt": 256, "n_gen": 0, "avg_ts": 359.76, "stddev_ts": 13.18, "samples_ns": [ 730520885, 693601524 ], "samples_ts": [ 350.435, 369.088 ] },
  { "build_commit": "de3ff81", "model_type": "llama 256M Q4_1", "n_threads": 2, "n_prompt": 0, "n_gen": 32, "avg_ts": 102.86, "stddev_ts": 0.28, "samples_ns": [ 310478227, 311695313 ], "samples_ts": [ 103.067, 102.664 ] }
]`;
  test("gives every repetition of both tests", () => {
    expect(parseBench(RECORDED)).toEqual({
      prompt: stat([350.435, 369.088]),
      generation: stat([103.067, 102.664]),
    });
  });
  test("cut anywhere, or anything else, is undefined", () => {
    fc.assert(
      fc.property(fc.nat({ max: RECORDED.length - 1 }), (length) => {
        expect(parseBench(RECORDED.slice(0, length))).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(parseBench(JSON.stringify(value) ?? "")).toBeUndefined();
      }),
    );
  });
});

test("sizes fit the time that a repetition may take, and a slow machine still gets some", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1e5, noNaN: true }),
      fc.double({ min: 0.01, max: 1e4, noNaN: true }),
      (prompt, generation) => {
        const load = chooseLoad({ prompt: stat([prompt]), generation: stat([generation]) });
        expect(load.prompt === 64 || load.prompt <= prompt * 5).toBe(true);
        expect(load.generate === 16 || load.generate <= generation * 4).toBe(true);
      },
    ),
  );
});

test("a load that takes long is repeated less, and never less than three times", () => {
  const at = (speed: number) =>
    chooseRepetitions(
      { prompt: stat([speed]), generation: stat([speed]) },
      { prompt: 64, generate: 16 },
    );
  expect(at(1000)).toBe(5);
  expect(at(1)).toBe(3);
});

describe("the plot", () => {
  test("grows with the values and marks where the build changed", () => {
    const lines = plot([
      { value: 50, group: "old" },
      { value: 100, group: "old" },
      { value: 25, group: "new" },
    ]);
    expect(lines).toEqual([
      "100 ┤ █",
      "    ┤ █",
      "    ┤ █",
      " 50 ┤██",
      "    ┤██▄",
      "    ┤███",
      "  0 └───",
      "     a b",
      "     a = old",
      "     b = new",
    ]);
  });
  test("draws any values in a fixed height, and the larger never lower", () => {
    const value = fc.oneof(
      fc.double({ noNaN: false }),
      fc.double({ min: 0, max: 1000, noNaN: true }),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), (values) => {
        const lines = plot(values.map((one) => ({ value: one, group: "g" })));
        expect(lines.length).toBe(7);
        for (const line of lines) expect(line.length).toBeLessThan(90);
        const shown = values.slice(-60);
        const cells = (at: number) =>
          lines
            .slice(0, 6)
            .map((line) => line.slice(line.indexOf("┤") + 1)[at] ?? " ")
            .filter((one) => one !== " ").length;
        const [most, least] = [Math.max(...shown), Math.min(...shown)];
        if (Number.isFinite(most) && Number.isFinite(least) && least >= 0) {
          expect(cells(shown.indexOf(most))).toBeGreaterThanOrEqual(cells(shown.indexOf(least)));
        }
      }),
    );
    expect(plot([])).toEqual([]);
  });
});
