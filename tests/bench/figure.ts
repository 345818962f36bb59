/** A figure beside its goal: what was measured, how it spreads, and whether it holds. */

/** What a figure must reach. One for comparison, of somebody else's program, has nothing to reach. */
export type Goal =
  | { readonly atMost: number }
  | { readonly atLeast: number }
  | { readonly comparison: true };

/** One figure, measured. */
export interface Figure {
  /** e.g. "--version against an empty program". */
  readonly name: string;
  /** e.g. "x", "ms", "MB", "tokens/s". */
  readonly unit: string;
  readonly goal: Goal;
  /** One value per run; the median counts. */
  readonly values: readonly number[];
  /** How it was measured, in a few words. */
  readonly how: string;
}

/** A figure that could not be measured here, and why. */
export interface LeftOut {
  readonly name: string;
  readonly leftOut: string;
}
export type Measured = Figure | LeftOut;

/** How a figure stands. "near" misses the goal by less than half of it. */
export type Verdict = "holds" | "near" | "far";

/** The middle value; the mean of the two middle ones where there is none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? half - 1 : half], sorted[half]];
  if (low === undefined || high === undefined) throw new Error("no values");
  return (low + high) / 2;
}

/** Half the distance between the quartiles, as a part of the median: robust against one slow run. */
export function spread(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN;
  return (at(0.75) - at(0.25)) / 2 / median(values);
}

/** Half of the goal is far off: twice as much where less is better, half as much where more is. */
export function verdict({ goal, values }: Pick<Figure, "goal" | "values">): Verdict {
  if ("comparison" in goal) return "holds";
  const value = median(values);
  if ("atMost" in goal) {
    if (value <= goal.atMost) return "holds";
    return value <= goal.atMost * 2 ? "near" : "far";
  }
  if (value >= goal.atLeast) return "holds";
  return value >= goal.atLeast / 2 ? "near" : "far";
}
