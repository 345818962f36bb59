/** Whether one profile is really faster than another: paired samples in, verdict out. Pure. */
import { deviation, median } from "../bench/stats.ts";

/** Speeds of two profiles, taken in turns: `base[i]` and `other[i]` were neighbours in time. Tokens per second. */
export interface Pairs {
  readonly base: readonly number[];
  readonly other: readonly number[];
}

/** How `other` compares with `base`: the middle ratio, and how far that middle itself may be off. */
export interface Comparison {
  readonly ratio: number;
  readonly margin: number;
  /** How far one pair is off the middle, in the middle. */
  readonly spread: number;
  readonly pairs: number;
  /** Pairs in which `other` was faster. */
  readonly wins: number;
}

/** Fewer pairs than this prove nothing. */
export const FEWEST_PAIRS = 5;
/** Fewer pairs than this are not worth a proof. */
export const FEWEST_TRIED = 3;
/** A gain below this share is not worth a change, and noise can fake it. */
export const SMALLEST_GAIN = 0.02;
/** A loss up to this share passes as none where the spread allows it; no spread excuses a larger one. */
export const LARGEST_EXCUSED_LOSS = 0.05;

/**
 * Ratio of neighbours in time, so that a machine that grows slower or faster meanwhile counts for both alike. The margin is twice the standard
 * error of a median, 1.2533 σ/√n (for normal noise), with σ from the median deviation.
 */
export function compare({ base, other }: Pairs): Comparison {
  const ratios = base.slice(0, other.length).flatMap((one, i) => {
    const two = other[i];
    return two !== undefined && one > 0 && two > 0 ? [two / one] : [];
  });
  const pairs = ratios.length;
  const spread = pairs === 0 ? Infinity : deviation(ratios);
  return {
    ratio: median(ratios),
    margin: (2 * 1.2533 * spread) / Math.sqrt(pairs),
    spread,
    pairs,
    wins: ratios.filter((ratio) => ratio > 1).length,
  };
}

/** Faster beyond the spread: by more than margin and smallest gain, and in all pairs but at most one in seven: not every text has something to draft from. */
export function isGain({ ratio, margin, pairs, wins }: Comparison, fewest = FEWEST_PAIRS): boolean {
  return (
    pairs >= fewest &&
    ratio - 1 > Math.max(margin, SMALLEST_GAIN) &&
    wins >= pairs - Math.floor(pairs / 7)
  );
}

/**
 * Slower than one answer differs from the next, so that a person could notice. By the margin instead, any loss at all would count once there are pairs
 * enough. Too few pairs count as a loss: what was not shown harmless is not kept.
 */
export function isLoss(
  { ratio, margin, spread, pairs }: Comparison,
  fewest = FEWEST_PAIRS,
): boolean {
  if (pairs < fewest) return true;
  const excused = Math.min(Math.max(margin, spread, SMALLEST_GAIN), LARGEST_EXCUSED_LOSS);
  return ratio < 1 - excused;
}

/** The two loads that a profile is judged by. */
export interface TwoLoads<T> {
  /** Short questions, new text. */
  readonly chat: T;
  /** A text written again with a small change. */
  readonly rewrite: T;
}
/** Their names. */
export const LOADS = ["chat", "rewrite"] as const;

/** Kept or not, and why, in words. */
export interface Verdict {
  readonly keep: boolean;
  readonly why: string;
}

/** Keeps a profile that gains on at least one load and loses on neither. `fewest` pairs are asked for: more for a proof than for a try. */
export function judge(loads: TwoLoads<Comparison>, fewest = FEWEST_PAIRS): Verdict {
  const lost = LOADS.filter((load) => isLoss(loads[load], fewest));
  const gained = LOADS.filter((load) => isGain(loads[load], fewest));
  const said = LOADS.map((load) => `${load} ${showRatio(loads[load])}`).join(", ");
  if (lost.length > 0)
    return { keep: false, why: `slower or unproven on ${lost.join(" and ")}: ${said}` };
  if (gained.length === 0) return { keep: false, why: `no gain beyond the spread: ${said}` };
  return { keep: true, why: `faster on ${gained.join(" and ")}: ${said}` };
}

/** True where more pairs cannot be worth their time: far behind on a load already (farther, where the other one gains), or clearly no better on both. */
export function isHopeless(loads: TwoLoads<Comparison>): boolean {
  if (LOADS.some((load) => loads[load].pairs < 2)) return false;
  const least = LOADS.some((load) => isGain(loads[load], 2)) ? 0.7 : 0.85;
  if (LOADS.some((load) => loads[load].ratio < least)) return true;
  return LOADS.every((load) => loads[load].ratio < 1.01);
}

/** True where one load gains and the other seems to lose, as far as the spread alone may make it seem: worth a longer try. */
export function isDoubtful(loads: TwoLoads<Comparison>, fewest: number): boolean {
  const gained = LOADS.some((load) => isGain(loads[load], fewest));
  return gained && !isHopeless(loads) && LOADS.some((load) => isLoss(loads[load], fewest));
}

/** True where one load gains and the other spreads too wide to tell: more pairs narrow it. Hangs on the spread alone, so that going on favours neither verdict. */
export function isHidden(loads: TwoLoads<Comparison>): boolean {
  const gained = LOADS.some((load) => isGain(loads[load]));
  return gained && LOADS.some((load) => loads[load].margin > LARGEST_EXCUSED_LOSS);
}

/**
 * What a gain is worth, for choosing among several that may be kept: the geometric mean over both loads of what is sure of it. By the middle alone, one that
 * gains on every other text would stand above one that always does, and be refused in the proof.
 */
export function worth(loads: TwoLoads<Comparison>): number {
  const sure = ({ ratio, margin }: Comparison) => Math.max(0, ratio - margin);
  return Math.sqrt(sure(loads.chat) * sure(loads.rewrite));
}

/** "1.52x ± 0.04 (5 of 5 pairs)". */
export function showRatio({ ratio, margin, pairs, wins }: Comparison): string {
  return `${ratio.toFixed(2)}x ± ${margin.toFixed(2)} (${wins} of ${pairs} pairs)`;
}
