/** Middles, spreads and what counts as slower. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  deviation,
  isBelow,
  median,
  parseStat,
  showStat,
  stat,
} from "../../../lib/llm/bench/stats.ts";

const speeds = fc.array(fc.double({ min: 0.1, max: 1000, noNaN: true }), {
  minLength: 1,
  maxLength: 9,
});

test("the median lies in the middle", () => {
  fc.assert(
    fc.property(speeds, (values) => {
      const middle = median(values);
      expect(values.filter((one) => one < middle).length * 2).toBeLessThanOrEqual(values.length);
      expect(values.filter((one) => one > middle).length * 2).toBeLessThanOrEqual(values.length);
    }),
  );
  expect(median([])).toBeNaN();
});

test("one outlier does not move the deviation beyond the others' range", () => {
  fc.assert(
    fc.property(fc.double({ min: 1000, max: 1e6, noNaN: true }), (outlier) => {
      expect(deviation([10, 11, 12, 13, outlier])).toBeLessThanOrEqual(1.4826 * 3);
    }),
  );
});

describe("below the baseline", () => {
  test("means by more than the spread of both, and by more than 3 %", () => {
    expect(isBelow(stat([90, 91, 92]), stat([99, 100, 101]))).toBe(true);
    expect(isBelow(stat([85, 91, 99]), stat([99, 100, 101]))).toBe(false); // its own spread is larger
    expect(isBelow(stat([90, 91, 92]), stat([90, 100, 101]))).toBe(false); // the baseline's is
    expect(isBelow(stat([97.5]), stat([100]))).toBe(false);
    expect(isBelow(stat([96.9]), stat([100]))).toBe(true);
  });
  test("is never so of samples that overlap, nor of a figure and itself", () => {
    fc.assert(
      fc.property(speeds, speeds, (a, b) => {
        const [now, base] = [stat(a), stat(b)];
        expect(isBelow(base, base)).toBe(false);
        if (isBelow(now, base)) {
          expect(now.median).toBeLessThan(base.median);
          expect(isBelow(base, now)).toBe(false);
        }
      }),
    );
  });
});

test("a stat from outside is checked, and its summary made anew", () => {
  expect(parseStat({ median: 99, low: 0, high: 0, samples: [1, 3, 2] })).toEqual(stat([1, 3, 2]));
  for (const samples of [[], [1, "2"], [-1], [Number.NaN], "1", undefined]) {
    expect(parseStat({ samples })).toBeUndefined();
  }
  expect(parseStat(null)).toBeUndefined();
});

test("figures are shown with the digits that say something", () => {
  expect(showStat(stat([104.21]))).toBe("104.2");
  expect(showStat(stat([0.914, 0.88, 1.46]))).toBe("0.91 (0.88 to 1.46)");
  expect(showStat(stat([1234, 1230]))).toBe("1232 (1230 to 1234)");
});
