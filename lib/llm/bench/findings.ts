/** What 04_llm_benchmark says of what it sees. Pure. */
import { bytes } from "../../report/text.ts";
import type { Args, Finding } from "../../unit.ts";
import { governorChanges } from "../governor.ts";
import { describeProfile } from "../profile_form.ts";
import type { BenchFacts, BenchModel } from "./facts.ts";
import { floorFindings } from "./floor.ts";
import { figureTitle } from "./judge.ts";
import { chosenModels, fallsOf, fits, latest, needsTune, planBench } from "./plan.ts";
import { showStat } from "./stats.ts";

const SCRIPT = "./bin/04_llm_benchmark";

/** Everything it says. A result below the baseline fails the run, once nothing is left to measure. */
export function diagnoseBench(facts: BenchFacts, want: Args): readonly Finding[] {
  const missing = whatIsMissing(facts, want);
  if (missing) return [missing];
  const settled = planBench(facts, want).length === 0;
  return [
    ...facts.models.filter((model) => !fits(facts, model)).map((model) => tooLarge(facts, model)),
    ...chosenModels(facts, want).flatMap((model) => [
      ...speed(facts, model, settled),
      ...floor(facts, model, settled),
      ...tuned(model),
      ...tunedBefore(facts, model, want),
      ...quantisation(model),
    ]),
    ...governor(facts),
    ...facts.damaged.map((path): Finding => ({
      id: "result-damaged",
      level: "warn",
      what: `${path} is no result of this script`,
      why: "it is left out of history and baselines",
      evidence: path,
      fix: ["./bin/00_check_structure", "--plan"],
    })),
  ];
}

/** What must be there before anything can be measured. */
function whatIsMissing(facts: BenchFacts, want: Args): Finding | undefined {
  if (!facts.build) {
    return {
      id: "no-engine",
      level: "fail",
      what: "there is no live engine to measure",
      why: "the benchmark measures what this host serves with",
      evidence: "runtime/llama.cpp/current",
      fix: ["./bin/03_build_llama_cpp"],
    };
  }
  const name = want["model"];
  if (
    typeof name === "string" &&
    name !== "" &&
    !facts.models.some((model) => model.name === name)
  ) {
    const there = facts.models.map((model) => model.name).join(", ");
    return {
      id: "model-unknown",
      level: "fail",
      what: `no model named ${name} is installed`,
      why: there === "" ? "none is installed" : `installed are: ${there}`,
      evidence: "models/",
      fix: ["./bin/03_install_models", "--plan"],
    };
  }
  if (facts.models.length === 0) {
    return {
      id: "no-model",
      level: "fail",
      what: "no verified model is installed",
      why: "an engine without a model has no speed",
      evidence: "models/",
      fix: ["./bin/03_install_models"],
    };
  }
  if (chosenModels(facts, want).length === 0) {
    const [smallest] = facts.models.toSorted((a, b) => a.bytes - b.bytes);
    return {
      id: "no-room",
      level: "fail",
      what: "no installed model fits into the free memory",
      why: `${bytes(facts.available ?? 0)} are free; the smallest model takes ${bytes((smallest?.bytes ?? 0) * 1.1)}`,
      evidence: "/proc/meminfo, MemAvailable",
      fix: ["./bin/03_install_models", "--plan"],
    };
  }
  return undefined;
}

function tooLarge(facts: BenchFacts, model: BenchModel): Finding {
  return {
    id: `too-large-${model.name}`,
    level: "warn",
    what: `${model.name} is not measured: it does not fit into the free memory`,
    why: `it takes about ${bytes(model.bytes * 1.1)} and ${bytes(facts.available ?? 0)} are free; swapping would be measured instead`,
    evidence: "/proc/meminfo, MemAvailable",
    fix: ["ps", "aux", "--sort=-rss"],
  };
}

function speed(facts: BenchFacts, model: BenchModel, settled: boolean): readonly Finding[] {
  const result = latest(facts, model);
  if (!result) {
    return [
      {
        id: `not-measured-${model.name}`,
        level: "info",
        what: `${model.name} was never measured as it is served now`,
        why: "without a figure nobody notices when it gets slower",
        evidence: `build ${model.series.build}, profile ${model.series.profile}`,
      },
    ];
  }
  const fallen = fallsOf(facts, model, result);
  const single = result.served.find((one) => one.concurrent === 1);
  const { prompt, generation } = single ?? result.bench;
  if (fallen.length === 0) {
    return [
      {
        id: `measured-${model.name}`,
        level: "ok",
        what: `${model.name}: ${showStat(prompt)} prompt and ${showStat(generation)} generated tokens/s`,
        why: "as fast as this host has shown it can be",
        evidence: `measured ${result.at}, ${result.load.prompt} + ${result.load.generate} tokens`,
      },
    ];
  }
  const said = fallen.map(
    ({ figure, now, base, share, build }) =>
      `${figureTitle(figure)} ${showStat(now)} instead of ${showStat(base)} tokens/s, ${Math.round(share * 100)} % less${
        build === result.build ? "" : `, than build ${build}`
      }`,
  );
  const build = fallen.find((one) => one.build !== result.build)?.build;
  const goBack = build !== undefined || facts.otherBuilds.length > 0;
  return [
    {
      id: `below-baseline-${model.name}`,
      level: settled ? "fail" : "warn",
      means: "below-baseline",
      what: `${model.name} is slower than this host has shown: ${said.join("; ")}`,
      why: build
        ? `build ${result.build} is slower than ${build}, which is still here to go back to`
        : `the same build was faster: ${conditionsText(result.conditions) || "nothing that was read explains it"}`,
      evidence: `measured ${result.at}, more than the spread of both`,
      fix: goBack ? ["./bin/03_build_llama_cpp", "--undo"] : [SCRIPT, "--again"],
    },
  ];
}

function floor(facts: BenchFacts, model: BenchModel, settled: boolean): readonly Finding[] {
  const result = latest(facts, model);
  return result ? floorFindings(facts.floors, result, settled) : [];
}

/** What of the conditions may explain a slow result. */
export function conditionsText(
  conditions: Readonly<Partial<import("./results.ts").Conditions>>,
): string {
  const { throttled, othersBusy, onBattery, turbo, governor: set } = conditions;
  return [
    ...(throttled && throttled.times > 0
      ? [`the processor throttled ${throttled.times} times`]
      : []),
    ...(othersBusy !== undefined && othersBusy > 0.1
      ? [`other programs took ${Math.round(othersBusy * 100)} % of the processors`]
      : []),
    ...(onBattery ? ["it ran on battery"] : []),
    ...(turbo === false ? ["turbo is off"] : []),
    ...(set === "powersave" || set === "conservative" ? [`the governor was ${set}`] : []),
  ].join(", ");
}

function tuned({ name, tuned: found }: BenchModel): readonly Finding[] {
  if (!found) return [];
  const { chat, rewrite } = found.gain;
  return [
    {
      id: `tuned-${name}`,
      level: "ok",
      what: `${name} is served with a tuned profile: ${chat.toFixed(2)}x on chat, ${rewrite.toFixed(2)}x where a text is written again`,
      why: describeProfile(found.profile),
      evidence: `tuned ${found.at}`,
    },
  ];
}

/** Tuning was asked for, and an earlier run's profile holds: else nothing would tell that nothing was done. */
function tunedBefore(facts: BenchFacts, model: BenchModel, want: Args): readonly Finding[] {
  const { name, tuned: profile } = model;
  if (want["tune"] !== true || !profile || needsTune(facts, model, want)) return [];
  if (Date.parse(profile.at) >= facts.since) return []; // just now, by this very run
  return [
    {
      id: `tuned-before-${name}`,
      level: "info",
      what: `${name} was tuned on ${profile.at.slice(0, 10)} for this build: it is not tuned again`,
      why: "a tuned profile holds for 90 days, as long as build and machine stay the same",
      evidence: model.paths.tuned,
      fix: [SCRIPT, "--tune", "--again", "--model", name],
    },
  ];
}

/** Says so where the file's quantisation is what makes it slow, with what was measured instead. */
function quantisation({ name, tuned: found }: BenchModel): readonly Finding[] {
  const measured = found?.quantisation;
  if (!measured) return [];
  const better = measured.others
    .filter((one) => one.prompt.median > measured.own.prompt.median * 1.2)
    .toSorted((a, b) => b.prompt.median - a.prompt.median);
  const [best] = better;
  if (!best) return [];
  const times = (a: number, b: number) => `${(a / b).toFixed(1)}x`;
  return [
    {
      id: `quantisation-slow-${name}`,
      level: "info",
      what: `the quantisation of ${name}, ${measured.own.type}, is the slow part on this processor: as ${best.type} it reads prompts ${times(best.prompt.median, measured.own.prompt.median)} and generates ${times(best.generation.median, measured.own.generation.median)} as fast`,
      why: `${best.type} has kernels for this processor that ${measured.own.type} lacks; quantising a quantised file again loses quality, so look for a ${best.type} file made from the original`,
      evidence: [measured.own, ...measured.others]
        .map(
          (one) =>
            `${one.type} ${showStat(one.prompt)} prompt, ${showStat(one.generation)} generation, ${bytes(one.bytes)}`,
        )
        .join("; "),
      fix: ["./bin/03_install_models", "--plan"],
    },
  ];
}

function governor(facts: BenchFacts): readonly Finding[] {
  const changes = governorChanges(facts.cpu.policies);
  if (facts.root || changes.length === 0) return [];
  return [
    {
      id: "governor-kept",
      level: "info",
      what: `the frequency governor stays at ${changes[0]?.was} while measuring`,
      why: "only root may set it, so figures spread wider than they need to",
      evidence: changes[0]?.path ?? "",
      fix: ["sudo", SCRIPT, "--again"],
    },
  ];
}
