/** Samples of one figure: their middle, their spread, and whether two of them really differ. Pure. */

/** A measured figure. `low` and `high` are the smallest and largest sample. */
export interface Stat {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly samples: readonly number[];
}

/** The middle of `values`; of an even number of them, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? Number.NaN) + upper) / 2;
}

/** Samples in the order they came, with their middle and ends. */
export function stat(samples: readonly number[]): Stat {
  return {
    median: median(samples),
    low: Math.min(...samples),
    high: Math.max(...samples),
    samples,
  };
}

/**
 * Spread of samples: 1.4826 times the median distance from the median, which equals the standard deviation of normal noise and which a single outlier
 * does not move (Rousseeuw and Croux 1993).
 */
export function deviation(values: readonly number[]): number {
  const middle = median(values);
  return 1.4826 * median(values.map((value) => Math.abs(value - middle)));
}

/** Differences below this share are never called one: clocks, timers and page placement alone make as much. */
export const SMALLEST_DIFFERENCE = 0.03;

/** How far a figure may be off before it counts: the larger of both ranges, and never less than 3 % of `base`. */
export function allowance(base: Stat, now: Stat): number {
  return Math.max(base.high - base.low, now.high - now.low, SMALLEST_DIFFERENCE * base.median);
}

/** True where `now` is lower than `base` by more than the spread of both. */
export function isBelow(now: Stat, base: Stat): boolean {
  return base.median - now.median > allowance(base, now);
}

/** A stat from outside, checked: finite, not negative, at least one sample, and its own summary. */
export function parseStat(value: unknown): Stat | undefined {
  const samples: unknown = (value as { samples?: unknown } | null | undefined)?.samples;
  if (!Array.isArray(samples) || samples.length === 0 || samples.length > 10_000) return undefined;
  const numbers = samples.filter(
    (one): one is number => typeof one === "number" && Number.isFinite(one) && one >= 0,
  );
  return numbers.length === samples.length ? stat(numbers) : undefined;
}

/** "104.2 (102.9 to 105.0)", with as many digits as say something. */
export function showStat({ median: middle, low, high, samples }: Stat): string {
  const digits = middle >= 1000 ? 0 : middle >= 10 ? 1 : 2;
  const text = middle.toFixed(digits);
  return samples.length < 2 ? text : `${text} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
