/** Whether two answers to the same greedy question are of one mind. Pure. */

/** Below this share of common word pairs an answer has nothing to do with the other: a broken kernel, not rounding. */
export const LEAST_AGREEMENT = 0.3;

/** Dice's coefficient over the pairs of neighbouring words: 1 for the same text, 0 for nothing in common. Two empty texts agree. */
export function agreement(a: string, b: string): number {
  const [left, right] = [pairs(a), pairs(b)];
  if (left.length + right.length === 0) return a === b ? 1 : 0;
  const counts = new Map<string, number>();
  for (const pair of left) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  let common = 0;
  for (const pair of right) {
    const have = counts.get(pair) ?? 0;
    if (have === 0) continue;
    counts.set(pair, have - 1);
    common += 1;
  }
  return (2 * common) / (left.length + right.length);
}

function pairs(text: string): readonly string[] {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return words.slice(1).map((word, at) => `${words[at]} ${word}`);
}
