/** What nobody asked about: things beside the figures that cost speed. Pure. */
import type { Finding } from "../../unit.ts";
import type { BenchFacts, BenchModel } from "./facts.ts";
import { latest } from "./plan.ts";
import type { BenchResult, KeptResult } from "./results.ts";
import { median } from "./stats.ts";

/** All of them; none where there is nothing to say. */
export function unaskedBench(facts: BenchFacts): readonly Finding[] {
  const recent = facts.models.flatMap((model) => {
    const result = latest(facts, model);
    return result ? [{ model, result }] : [];
  });
  return [
    ...turboOff(facts),
    ...slowGovernor(facts),
    ...onBattery(facts),
    ...throttling(facts, recent),
    ...disturbed(recent),
    ...idleCores(facts),
    ...olderThanBuild(facts, recent),
    ...facts.models.flatMap((model) => downward(facts.results, model)),
    ...neverTuned(facts, recent),
  ];
}

type Measured = readonly { readonly model: BenchModel; readonly result: BenchResult }[];

function turboOff({ cpu }: BenchFacts): readonly Finding[] {
  if (cpu.turbo !== false) return [];
  const driver = cpu.policies.some(({ driver: one }) => one?.startsWith("intel"));
  const path = driver
    ? "/sys/devices/system/cpu/intel_pstate/no_turbo"
    : "/sys/devices/system/cpu/cpufreq/boost";
  return [
    {
      id: "turbo-off",
      level: "warn",
      what: "the processor's turbo is switched off",
      why: "it stays at its base clock, which can halve the speed of generation",
      evidence: path,
      fix: ["sudo", "sh", "-c", `echo ${driver ? 0 : 1} > ${path}`],
    },
  ];
}

/** With an active intel_pstate "powersave" is the normal governor, and the preference decides; else the governor does. */
function slowGovernor({ cpu }: BenchFacts): readonly Finding[] {
  const slow = cpu.policies.filter(({ driver, governor, preference }) => {
    if (governor === "conservative") return true;
    if (governor !== "powersave") return false;
    if (driver === "intel_pstate" || driver === "amd-pstate-epp") {
      return preference === "power" || preference === "balance_power";
    }
    return true;
  });
  const [first] = slow;
  if (!first) return [];
  const byPreference = first.preference !== undefined && first.governor === "powersave";
  const file = byPreference ? "energy_performance_preference" : "scaling_governor";
  const value = byPreference ? "balance_performance" : "schedutil";
  return [
    {
      id: "governor-powersave",
      level: "warn",
      what: `${slow.length} of ${cpu.policies.length} frequency policies save power: ${byPreference ? `preference ${first.preference}` : `governor ${first.governor}`}`,
      why: "whatever serves a model without setting the governor first runs at a low clock",
      evidence: `${first.path}/${file}`,
      fix: [
        "sudo",
        "sh",
        "-c",
        `echo ${value} | tee ${slow.map(({ path }) => `${path}/${file}`).join(" ")}`,
      ],
    },
  ];
}

function onBattery(facts: BenchFacts): readonly Finding[] {
  if (facts.onBattery !== true) return [];
  return [
    {
      id: "on-battery",
      level: "info",
      what: "this host runs on battery",
      why: "firmware lowers the power limit then, and figures drop without anything being wrong",
      evidence: "/sys/class/power_supply",
      fix: ["./bin/04_llm_benchmark", "--again"],
    },
  ];
}

function throttling(facts: BenchFacts, recent: Measured): readonly Finding[] {
  const hot = recent.filter(({ result }) => (result.conditions.throttled?.times ?? 0) > 0);
  if (hot.length > 0) {
    const times = hot.map(({ model, result }) => {
      const { throttled, celsius } = result.conditions;
      const heat = celsius ? ` at up to ${Math.round(celsius.most)} °C` : "";
      return `${model.name} ${throttled?.times ?? 0} times${heat}`;
    });
    return [
      {
        id: "throttled-while-measured",
        level: "warn",
        what: `the processor slowed itself down for heat while it was measured: ${times.join(", ")}`,
        why: "longer work will be slower than these figures; dust, paste or a blocked vent are the usual causes",
        evidence: "thermal_throttle/package_throttle_count",
        fix: ["./bin/01_host_inventory"],
      },
    ];
  }
  const since = facts.cpu.throttled;
  if (!since || since.times === 0) return [];
  return [
    {
      id: "throttled-since-boot",
      level: "info",
      what: `the processor slowed itself down for heat ${since.times} times since it started`,
      why: "not while it was measured, but under other work it runs too hot",
      evidence: "thermal_throttle/package_throttle_count",
      fix: ["./bin/01_host_inventory"],
    },
  ];
}

/** Share of the processors that others may take before figures say more of them than of us. */
const BUSY = 0.2;

function disturbed(recent: Measured): readonly Finding[] {
  const busy = recent.filter(({ result }) => (result.conditions.othersBusy ?? 0) > BUSY);
  const [first] = busy;
  if (!first) return [];
  const share = Math.max(...busy.map(({ result }) => result.conditions.othersBusy ?? 0));
  return [
    {
      id: "measured-while-busy",
      level: "warn",
      what: `other programs took ${Math.round(share * 100)} % of the processors while ${busy.map(({ model }) => model.name).join(", ")} ${busy.length === 1 ? "was" : "were"} measured`,
      why: "the figures are lower than this host can do; measured again in peace they raise the baseline by themselves",
      evidence: "/proc/stat",
      fix: ["./bin/04_llm_benchmark", "--again"],
    },
  ];
}

/** A tuned or kept profile with fewer threads than cores may be right; one that was never tuned, or a single thread, is worth a look. */
function idleCores({ cpu, models }: BenchFacts): readonly Finding[] {
  if (cpu.hybrid) return []; // the slow cores of a hybrid are left out on purpose
  return models.flatMap((model): readonly Finding[] => {
    const { threads, gpuLayers } = model.profile;
    const idle = cpu.physical - threads;
    if (gpuLayers !== 0 || cpu.physical < 2 || idle <= 0 || (model.tuned && threads > 1)) return [];
    return [
      {
        id: `idle-cores-${model.name}`,
        level: "warn",
        what: `${model.name} is served with ${threads} thread${threads === 1 ? "" : "s"}, and ${idle} of ${cpu.physical} cores stay idle`,
        why: "prompts are read in proportion to the cores at work",
        evidence: model.paths.tuned,
        fix: ["./bin/04_llm_benchmark", "--tune", "--again", "--model", model.name],
      },
    ];
  });
}

function olderThanBuild(facts: BenchFacts, recent: Measured): readonly Finding[] {
  const { build } = facts;
  if (!build) return [];
  const before = facts.models.filter(
    (model) =>
      !recent.some((one) => one.model.name === model.name) &&
      facts.results.some(
        ({ series, result }) =>
          series.model === model.series.model &&
          series.build !== build.id &&
          Date.parse(result.at) < Date.parse(build.started),
      ),
  );
  if (before.length === 0) return [];
  return [
    {
      id: "older-than-build",
      level: "info",
      what: `the figures of ${before.map(({ name }) => name).join(", ")} are older than the live build`,
      why: `build ${build.id} of ${build.started.slice(0, 10)} was never measured, so nobody knows whether it made things slower`,
      evidence: "runtime/bench",
      fix: ["./bin/04_llm_benchmark"],
    },
  ];
}

/** Results of one series that a trend is looked for in, and how much may be lost from the first third to the last. */
const TREND = 6;
const TREND_LOSS = 0.05;

/** Small steps that no single comparison calls a fall. */
function downward(results: readonly KeptResult[], model: BenchModel): readonly Finding[] {
  const values = results
    .filter(
      ({ series }) =>
        series.model === model.series.model && series.profile === model.series.profile,
    )
    .map(({ result }) => result.bench.generation.median);
  if (values.length < TREND) return [];
  const third = Math.floor(values.length / 3);
  const [first, last] = [median(values.slice(0, third)), median(values.slice(-third))];
  if (last > first * (1 - TREND_LOSS) || slope(values) >= 0) return [];
  return [
    {
      id: `trend-down-${model.name}`,
      level: "warn",
      what: `${model.name} generates slower and slower: ${first.toFixed(1)} tokens/s at first, ${last.toFixed(1)} of late`,
      why: "each step was too small to be called a fall; heat, a filling disk cache or updates are the usual causes",
      evidence: `${values.length} measurements, runtime/bench`,
      fix: ["./bin/08_shelter_cli", "history"],
    },
  ];
}

/** Median of the slopes between all pairs (Theil and Sen): a single outlier does not turn it. */
export function slope(values: readonly number[]): number {
  const slopes = values.flatMap((value, i) =>
    values.slice(i + 1).map((later, j) => (later - value) / (j + 1)),
  );
  return slopes.length > 0 ? median(slopes) : 0;
}

function neverTuned(facts: BenchFacts, recent: Measured): readonly Finding[] {
  const open = recent.filter(({ model }) => !model.tuned);
  const [first] = open;
  if (!first) return [];
  return [
    {
      id: "never-tuned",
      level: "info",
      what: `${open.map(({ model }) => model.name).join(", ")} ${open.length === 1 ? "is" : "are"} served with the default profile`,
      why: "speculation without a second model often makes an agent's edits more than half again as fast, and costs no memory",
      evidence: first.model.paths.tuned,
      fix: ["./bin/04_llm_benchmark", "--tune"],
    },
  ];
}
