/** Which profile is kept: pure decisions on samples. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { agreement, LEAST_AGREEMENT } from "../../../lib/llm/tune/agreement.ts";
import { compare, isGain, isLoss, judge, type Pairs } from "../../../lib/llm/tune/decide.ts";

const times = (base: readonly number[], by: number): Pairs => ({
  base,
  other: base.map((one) => one * by),
});
const STEADY = [100, 101, 99, 100, 102];
const speeds = fc.array(fc.double({ min: 1, max: 500, noNaN: true }), {
  minLength: 5,
  maxLength: 12,
});

describe("a comparison", () => {
  test("does not see what slows both: a machine that gets slower by the pair", () => {
    fc.assert(
      fc.property(speeds, fc.double({ min: 0.2, max: 5, noNaN: true }), (base, by) => {
        const { ratio, margin } = compare(times(base, by));
        expect(ratio).toBeCloseTo(by, 6);
        expect(margin).toBeCloseTo(0, 6);
      }),
    );
  });
  test("turns round when its sides do", () => {
    fc.assert(
      fc.property(speeds, speeds, (a, b) => {
        const pairs = Math.min(a.length, b.length);
        fc.pre(pairs % 2 === 1); // the middle of an even number is a mean, and 1/mean is not the mean of 1/x
        const [base, other] = [a.slice(0, pairs), b.slice(0, pairs)];
        const there = compare({ base, other });
        const back = compare({ base: other, other: base });
        expect(there.ratio * back.ratio).toBeCloseTo(1, 6);
      }),
    );
  });
  test("of too few pairs is neither a gain nor harmless", () => {
    const few = compare(times([100, 100, 100, 100], 3));
    expect(isGain(few)).toBe(false);
    expect(isLoss(few)).toBe(true);
  });
});

describe("a planted gain", () => {
  test("that is real is kept", () => {
    const verdict = judge({
      chat: compare(times(STEADY, 1)),
      rewrite: compare(times(STEADY, 1.5)),
    });
    expect(verdict).toMatchObject({ keep: true });
  });
  test("that comes from one lucky run is rejected", () => {
    const lucky = { base: STEADY, other: [100, 101, 400, 99, 101] };
    expect(judge({ chat: compare(lucky), rewrite: compare(lucky) }).keep).toBe(false);
  });
  test("that is bought on the other load is rejected, whichever that is", () => {
    const [up, down] = [compare(times(STEADY, 2)), compare(times(STEADY, 0.9))];
    expect(judge({ chat: down, rewrite: up }).keep).toBe(false);
    expect(judge({ chat: up, rewrite: down }).keep).toBe(false);
  });
  test("is not excused by noise: a wide spread does not hide a large loss", () => {
    const noisy = compare({ base: [100, 100, 100, 100, 100], other: [60, 130, 85, 70, 88] });
    expect(noisy.margin).toBeGreaterThan(0.05);
    expect(isLoss(noisy)).toBe(true);
  });
  test("that the machine's own speeding-up fakes is rejected", () => {
    // each run is 3 % quicker than the one before; base and other take turns in going first
    let speed = 100;
    const next = () => (speed *= 1.03);
    const [base, other]: [number[], number[]] = [[], []];
    for (let turn = 0; turn < 6; turn++) {
      const sides = turn % 2 === 0 ? [base, other] : [other, base];
      for (const side of sides) side.push(next());
    }
    expect(judge({ chat: compare({ base, other }), rewrite: compare({ base, other }) }).keep).toBe(
      false,
    );
  });
  test("within the noise is kept in less than one of twenty cases", () => {
    // normal noise of 8 % around the same speed: what is kept here would be luck
    let seed = 42;
    const uniform = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const noise = () =>
      Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()) * 0.08;
    const sample = () => Array.from({ length: 5 }, () => 100 * (1 + noise()));
    let kept = 0;
    for (let i = 0; i < 2000; i++) {
      const load = () => compare({ base: sample(), other: sample() });
      if (judge({ chat: load(), rewrite: load() }).keep) kept += 1;
    }
    expect(kept / 2000).toBeLessThan(0.05);
  });
});

describe("judging", () => {
  const pairs = fc.record({ base: speeds, other: speeds });
  test("never keeps what loses more than 5 % on either load", () => {
    fc.assert(
      fc.property(pairs, pairs, (chat, rewrite) => {
        const loads = { chat: compare(chat), rewrite: compare(rewrite) };
        if (judge(loads).keep) {
          expect(Math.min(loads.chat.ratio, loads.rewrite.ratio)).toBeGreaterThanOrEqual(0.95);
          expect(Math.max(loads.chat.ratio, loads.rewrite.ratio)).toBeGreaterThan(1.02);
        }
      }),
      { numRuns: 1000 },
    );
  });
  test("never keeps a profile that is held against itself", () => {
    fc.assert(
      fc.property(speeds, (base) => {
        const same = compare({ base, other: base });
        expect(judge({ chat: same, rewrite: same }).keep).toBe(false);
      }),
    );
  });
});

describe("agreement of two answers", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", "sum", "return"), { maxLength: 30 });
  test("is the same both ways, and 1 for the same text", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [left, right] = [a.join(" "), b.join(" ")];
        expect(agreement(left, right)).toBeCloseTo(agreement(right, left), 9);
        expect(agreement(left, left)).toBe(1);
        expect(agreement(left, right)).toBeLessThanOrEqual(1);
      }),
    );
  });
  test("tells a broken kernel from rounding", () => {
    const answer = "for (const value of station.readings) { sum += value; } return sum;";
    expect(agreement(answer, "!!!! !!!! !!!! !!!! !!!!")).toBeLessThan(LEAST_AGREEMENT);
    expect(agreement(answer, answer.replace("sum;", "total;"))).toBeGreaterThan(LEAST_AGREEMENT);
  });
});

test("a loss that is less than one answer differs from the next is none, however many pairs say it; a larger one is", () => {
  const around = (middle: number, spread: number) => {
    const other = Array.from({ length: 21 }, (_, at) => 100 * (middle + spread * ((at % 5) - 2)));
    return compare({ base: other.map(() => 100), other });
  };
  expect(isLoss(around(0.97, 0.03))).toBe(false);
  expect(isLoss(around(0.97, 0.002))).toBe(true);
  expect(isLoss(around(0.94, 0.05))).toBe(true);
});

test("one text in seven without a gain does not hide what the others gain; two do", () => {
  const pairs = (without: number): Pairs => ({
    base: Array.from({ length: 7 }, () => 100),
    other: Array.from({ length: 7 }, (_, at) => (at < without ? 98 : 170 + at)),
  });
  expect(isGain(compare(pairs(1)))).toBe(true);
  expect(isGain(compare(pairs(2)))).toBe(false);
});
