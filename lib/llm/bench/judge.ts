/** Holding a result against what this host did before. Pure. */
import {
  figuresOf,
  JUDGED,
  type Baseline,
  type BenchResult,
  type FigureName,
  type Figures,
  type LoadSize,
  type Series,
} from "./results.ts";
import { allowance, isBelow, type Stat } from "./stats.ts";

/** A baseline with the series that it belongs to. */
export type KeptBaseline = Baseline & { readonly series: Series };

/** A figure that fell. */
export interface Fall {
  readonly figure: FigureName;
  readonly now: Stat;
  readonly base: Stat;
  /** Build that was faster. */
  readonly build: string;
  /** Share that is gone, e.g. 0.12. */
  readonly share: number;
}

/**
 * What a result is held against: its own baseline, and, unless the operator has accepted this build's speed, those of other builds that are still
 * there to go back to, for the same model, profile and load.
 */
export function references(
  series: Series,
  load: LoadSize,
  baselines: readonly KeptBaseline[],
  otherBuilds: readonly string[],
): readonly KeptBaseline[] {
  const same = baselines.filter(
    (one) =>
      one.series.model === series.model &&
      one.series.profile === series.profile &&
      one.load.prompt === load.prompt &&
      one.load.generate === load.generate,
  );
  const own = same.filter((one) => one.series.build === series.build);
  if (own.some((one) => one.accepted)) return own;
  return [...own, ...same.filter((one) => otherBuilds.includes(one.series.build))];
}

/** The figures of a result that are below a reference by more than the spread, the worst one per figure, worst first. */
export function falls(result: BenchResult, against: readonly KeptBaseline[]): readonly Fall[] {
  const now = figuresOf(result);
  return JUDGED.flatMap((figure): readonly Fall[] => {
    const mine = now[figure];
    if (!mine) return [];
    const fallen = against.flatMap(({ figures, series }): readonly Fall[] => {
      const base = figures[figure];
      if (!base || !isBelow(mine, base)) return [];
      const share = 1 - mine.median / base.median;
      return [{ figure, now: mine, base, build: series.build, share }];
    });
    return fallen.sort((a, b) => b.share - a.share).slice(0, 1);
  }).sort((a, b) => b.share - a.share);
}

/** Of two measurements the one to keep: with fewer falls, else the faster one over all figures. */
export function betterOf(
  first: BenchResult,
  second: BenchResult,
  against: readonly KeptBaseline[],
): BenchResult {
  const difference = falls(first, against).length - falls(second, against).length;
  if (difference !== 0) return difference < 0 ? first : second;
  return logSpeed(second) > logSpeed(first) ? second : first;
}

function logSpeed(result: BenchResult): number {
  return Object.values(figuresOf(result)).reduce((sum, { median }) => sum + Math.log(median), 0);
}

/**
 * The baseline that a result leads to: the first good one, then each figure raised where a later result beats it by more than the spread, so that
 * a first measurement on a busy machine does not stand for ever. Undefined where nothing changes.
 */
export function nextBaseline(
  result: BenchResult,
  own: Baseline | undefined,
  fallen: readonly Fall[],
): Baseline | undefined {
  const now = figuresOf(result);
  const sameLoad =
    own?.load.prompt === result.load.prompt && own.load.generate === result.load.generate;
  if (!own || !sameLoad) return fallen.length > 0 ? undefined : baselineOf(result, now, false);
  const raised = JUDGED.filter((figure) => {
    const [mine, base] = [now[figure], own.figures[figure]];
    return mine && (!base || mine.median - base.median > allowance(base, mine));
  });
  if (raised.length === 0) return undefined;
  const figures: Partial<Record<FigureName, Stat>> = { ...own.figures };
  for (const figure of raised) {
    const mine = now[figure];
    if (mine) figures[figure] = mine;
  }
  return { ...baselineOf(result, figures, own.accepted) };
}

/** A result's figures as the measure for later ones. */
export function baselineOf(result: BenchResult, figures: Figures, accepted: boolean): Baseline {
  return {
    schema: 1,
    at: result.at,
    model: result.model.name,
    build: result.build,
    load: result.load,
    figures,
    accepted,
  };
}

/** A figure's name for people. */
export function figureTitle(figure: FigureName): string {
  return {
    "bench.prompt": "prompt (llama-bench)",
    "bench.generation": "generation (llama-bench)",
    "served.prompt": "prompt (served)",
    "served.generation": "generation (served)",
  }[figure];
}
