/** Reading what was said in the steps in which it was said. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { readingSteps } from "../../lib/gateway/steps.ts";

const texts = fc.string({ unit: "grapheme", maxLength: 400 });

describe("the steps before an answer goes on", () => {
  test("begin with nothing of it, grow, are beginnings of what was said, and never all of it", () => {
    fc.assert(
      fc.property(texts, texts, fc.integer({ min: 1, max: 600 }), (reasoning, content, tokens) => {
        fc.pre(reasoning.length + content.length > 0);
        const steps = readingSteps({ reasoning, content, tokens });
        if (tokens > 512 && steps.length === 0) return;
        expect(steps[0]).toEqual({ reasoning: "", content: "", tokens: 0 });
        for (const [at, step] of steps.entries()) {
          expect(reasoning.startsWith(step.reasoning)).toBe(true);
          expect(content.startsWith(step.content)).toBe(true);
          // the answer begins when the thinking is over
          if (step.content !== "") expect(step.reasoning).toBe(reasoning);
          const length = step.reasoning.length + step.content.length;
          expect(length).toBeLessThan(reasoning.length + content.length);
          const before = steps[at - 1];
          if (before)
            expect(length).toBeGreaterThanOrEqual(before.reasoning.length + before.content.length);
        }
      }),
    );
  });

  test("cut no character in two", () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 500 }), (content, tokens) => {
        fc.pre(content.isWellFormed());
        for (const step of readingSteps({ reasoning: "", content, tokens }))
          expect(step.content.isWellFormed()).toBe(true);
      }),
    );
  });

  test("are of 32 tokens each, for a text of even tokens", () => {
    const said = { reasoning: "", content: "word ".repeat(100), tokens: 100 };
    expect(readingSteps(said).map((one) => one.tokens)).toEqual([0, 25, 50, 75]);
    expect(readingSteps({ reasoning: "", content: "a", tokens: 1 })).toHaveLength(1);
    // an engine's own count of its tokens is data too
    expect(readingSteps({ reasoning: "", content: "a".repeat(1e6), tokens: 1e9 })).toEqual([]);
  });
});
