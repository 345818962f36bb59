/** Which engine may answer: who fell, and when it is trusted again. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  calm,
  CALM,
  CALM_MOST,
  condemned,
  MEMORY,
  proven,
  unknown,
  type Standing,
} from "../../lib/gateway/standing.ts";

const event = fc.oneof(
  fc.record({ what: fc.constant("fails" as const), after: fc.nat(20_000) }),
  fc.record({ what: fc.constant("answers" as const), after: fc.nat(20_000) }),
);

test("an engine that fell comes back only after it was calm without a break, longer after each fall", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let now = 0;
      let standing: Standing = proven(unknown(now), now, false);
      expect(standing.state).toBe("up");
      let firstGood: number | undefined;
      for (const { what, after } of events) {
        now += after;
        const before = standing;
        if (what === "fails") {
          standing = condemned(standing, "why", now);
          expect(standing.state).toBe("down");
          firstGood = undefined;
        } else {
          standing = proven(standing, now, false);
          if (before.state === "down") firstGood ??= now;
          if (before.state === "down" && standing.state === "up") {
            const falls = before.falls.filter((at) => now - at < MEMORY).length;
            expect(now - (firstGood ?? now)).toBeGreaterThanOrEqual(calm(falls));
          }
        }
      }
      expect(standing.falls.length).toBeLessThanOrEqual(events.length);
    }),
  );
  expect([0, 1, 2, 3, 99].map(calm)).toEqual([CALM, CALM, 2 * CALM, 4 * CALM, CALM_MOST]);
});

test("where no other engine could answer, one real answer is enough", () => {
  const down = condemned(proven(unknown(0), 0, false), "why", 10);
  expect(proven(down, 20, true).state).toBe("up");
  expect(proven(down, 20, false).state).toBe("down");
});
