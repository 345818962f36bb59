/** How long a silence is borne. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { LEAST, learned, MOST, patience } from "../../lib/gateway/stall.ts";

test("patience: never under the least, never over the most, longer for longer prompts and slower engines", () => {
  const prompt = fc.record({ total: fc.nat(100_000), processed: fc.nat(100_000) });
  fc.assert(
    fc.property(
      prompt,
      fc.nat(20_000_000),
      fc.nat(100_000),
      fc.boolean(),
      fc.double({ min: 0.1, max: 5000, noNaN: true }),
      (one, asked, slowest, speaking, speed) => {
        const progress = {
          total: one.total,
          processed: Math.min(one.total, one.processed),
          all: {},
        };
        const flow = { asked, slowest, speaking, progress };
        const borne = patience(flow, { prompt: speed });
        expect(borne).toBeGreaterThanOrEqual(LEAST);
        expect(borne).toBeLessThanOrEqual(MOST);
        expect(
          patience({ ...flow, slowest: slowest * 2 }, { prompt: speed }),
        ).toBeGreaterThanOrEqual(borne);
        expect(patience(flow, { prompt: speed / 2 })).toBeGreaterThanOrEqual(borne);
      },
    ),
  );
  // a 20,000-token prompt at 100 tokens/s is read in one go of 200 s by an engine that reports nothing on the way
  const long = {
    asked: 80_000,
    slowest: 0,
    speaking: false,
    progress: { total: 20_000, processed: 0, all: {} },
  };
  expect(patience(long, { prompt: 100 })).toBe(MOST);
  expect(
    patience({ ...long, progress: { total: 100, processed: 0, all: {} } }, { prompt: 100 }),
  ).toBe(LEAST);
  // an engine that takes 3 s for each token is slow, not dead
  expect(patience({ ...long, speaking: true, slowest: 3000 }, {})).toBe(24_000);
});

test("speed is learned from whole answers, and one lucky one doesn't make the limit tight", () => {
  const timings = (promptTokens: number, promptMs: number, tokens: number, tokensMs: number) => ({
    cached: 0,
    promptTokens,
    promptMs,
    tokens,
    tokensMs,
    all: {},
  });
  const slow = learned({}, timings(1000, 10_000, 100, 20_000));
  expect(slow).toEqual({ prompt: 100, gap: 200 });
  const lucky = learned(slow, timings(1000, 1000, 100, 1000));
  expect(lucky.prompt).toBeLessThan(400);
  expect(lucky.gap).toBeGreaterThan(100);
  expect(learned(slow, timings(1000, 20_000, 100, 40_000))).toEqual({ prompt: 50, gap: 400 });
  expect(learned(slow, timings(1, 500, 2, 10_000))).toEqual(slow);
});
