/** What is left to measure or to tune, and in which steps. Pure. */
import type { Args, Step } from "../../unit.ts";
import { governorSteps } from "../governor.ts";
import type { BenchFacts, BenchModel } from "./facts.ts";
import { baselineOf, falls, references } from "./judge.ts";
import { documentText, figuresOf, sameSeries, type BenchResult } from "./results.ts";

const DAY = 24 * 60 * 60 * 1000;
/** A result older than this is measured again; one from a clock that was ahead, too. */
export const FRESH = 7 * DAY;
/** A tuned profile holds longer: it depends on the build and the machine, and both are in its name. */
export const TUNED_FRESH = 90 * DAY;
/** Seconds that tuning may take where nothing else is said. */
export const BUDGET = 600;
/** Seconds of work before anything counts. */
export const PREHEAT = 8;

/** Models that are measured: those asked for, all otherwise, as far as memory holds them. A file with two names is measured once. */
export function chosenModels(facts: BenchFacts, want: Args): readonly BenchModel[] {
  const name = want["model"];
  const asked = facts.models.filter(
    (model) =>
      (typeof name !== "string" || name === "" || model.name === name) && fits(facts, model),
  );
  return asked.filter(
    ({ sha256 }, at) => asked.findIndex((model) => model.sha256 === sha256) === at,
  );
}

/** Weights, and a tenth for cache and work space, in what is free. */
export function fits({ available }: BenchFacts, { bytes }: BenchModel): boolean {
  return available === undefined || bytes * 1.1 < available;
}

/** The latest result of a model as it is served now. */
export function latest(facts: BenchFacts, model: BenchModel): BenchResult | undefined {
  return facts.results.findLast((one) => sameSeries(one.series, model.series))?.result;
}

/** Whether something that was done at `at` still counts: not too old, and, where it was asked for again, done in this run. */
function holds(at: string, facts: BenchFacts, want: Args, fresh: number): boolean {
  const age = facts.now - Date.parse(at);
  if (want["again"] === true) return Date.parse(at) >= facts.since;
  return age >= -FRESH && age <= fresh;
}

/** True where the model has to be measured. */
export function needsMeasure(facts: BenchFacts, model: BenchModel, want: Args): boolean {
  const result = latest(facts, model);
  return !result || !holds(result.at, facts, want, FRESH);
}

/** True where tuning was asked for and there is no tuned profile that holds. */
export function needsTune(facts: BenchFacts, model: BenchModel, want: Args): boolean {
  return (
    want["tune"] === true && (!model.tuned || !holds(model.tuned.at, facts, want, TUNED_FRESH))
  );
}

/** The steps. What tuning changes is measured in the round after it, because it changes what is served. */
export function planBench(facts: BenchFacts, want: Args): readonly Step[] {
  const { build } = facts;
  if (!build) return [];
  const models = chosenModels(facts, want);
  const seconds = (flag: string, otherwise: number) => {
    const value = Number(want[flag] ?? otherwise);
    return Number.isFinite(value) && value >= 0 ? value : otherwise;
  };
  const common = (model: BenchModel) => ({
    model: model.name,
    build: build.id,
  });
  const tuning = models
    .filter((model) => needsTune(facts, model, want))
    .map((model): Step => ({
      do: "call",
      name: "tune",
      args: {
        ...common(model),
        budget: seconds("budget", BUDGET),
        of: { sha256: model.sha256 },
        to: { tuned: model.paths.tuned },
      },
      undo: { restore: [model.paths.tuned] },
    }));
  const measuring = models
    .filter((model) => needsMeasure(facts, model, want))
    .map((model): Step => ({
      do: "call",
      name: "measure",
      args: {
        ...common(model),
        preheat: seconds("preheat", PREHEAT),
        of: { sha256: model.sha256 },
        to: { result: model.paths.result, baseline: model.paths.baseline },
      },
      undo: { restore: [model.paths.result, model.paths.baseline] },
    }));
  const work = tuning.length > 0 ? tuning : measuring;
  if (work.length > 0) return [...governorSteps(facts.cpu.policies, facts.root), ...work];
  return want["accept"] === true ? models.flatMap((model) => acceptSteps(facts, model)) : [];
}

/** What a flag of seconds takes, for a value that is none. */
export function onlySeconds(value: string): string | undefined {
  return /^\d{1,9}(\.\d{1,3})?$/.test(value) ? undefined : "it takes a number of seconds";
}

/** Takes the latest result as the new measure, where it is below the old one. */
function acceptSteps(facts: BenchFacts, model: BenchModel): readonly Step[] {
  const result = latest(facts, model);
  if (!result || fallsOf(facts, model, result).length === 0) return [];
  return [
    {
      do: "write",
      path: model.paths.baseline,
      content: documentText(baselineOf(result, figuresOf(result), true)),
      mode: 0o644,
      why: "accepted as the new measure",
    },
  ];
}

/** What of a result is below what this host has shown. */
export function fallsOf(facts: BenchFacts, model: BenchModel, result: BenchResult) {
  return falls(result, references(model.series, result.load, facts.baselines, facts.otherBuilds));
}
