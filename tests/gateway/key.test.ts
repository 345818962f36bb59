/** The gateway's key. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { carriesKey } from "../../lib/gateway/key.ts";

test("the key opens, and nothing else does", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }).filter((key) => key.trim() === key),
      fc.string(),
      (key, other) => {
        expect(carriesKey(`Bearer ${key}`, key)).toBe(true);
        if (other.trim() !== key) expect(carriesKey(`Bearer ${other}`, key)).toBe(false);
        expect(carriesKey(key, key)).toBe(
          /^Bearer +/i.test(key) && key.replace(/^Bearer +/i, "") === key,
        );
        expect(carriesKey(undefined, key)).toBe(false);
        expect(carriesKey("Bearer ", "")).toBe(false);
      },
    ),
  );
});
