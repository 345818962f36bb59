/** The room for requests: counted by what they cost once they are taken apart, and never so full of large ones that a small one finds none. */
import { expect, test } from "bun:test";
import { Bodies, costOf, type Share } from "../../lib/gateway/bodies.ts";
import { Refusal } from "../../lib/gateway/errors.ts";

const MIB = 2 ** 20;
const LARGEST = 16 * MIB;
const text = (bytes: number) => Buffer.alloc(bytes, "a");

/** The refusal's status, or "goes". */
function tried(what: () => void): number | "goes" {
  try {
    what();
    return "goes";
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    throw error;
  }
}

test("the largest request fits where nothing else is there, whatever its letters; a second one is asked to come again", () => {
  for (const letter of ["a", "é", "…"]) {
    const bodies = new Bodies();
    const whole = Buffer.alloc(LARGEST, letter);
    expect(tried(() => bodies.share(LARGEST).whole(whole))).toBe("goes");
  }
  const bodies = new Bodies();
  const shares = Array.from({ length: 3 }, () => bodies.share(LARGEST));
  const came = (share: Share) => tried(() => share.came(LARGEST));
  expect(shares.map(came)).toEqual(["goes", "goes", 429]);
  shares[0]?.giveBack();
  expect(shares.map(came).at(-1)).toBe("goes");
});

test("an operator's larger limit makes the room larger", () => {
  const bodies = new Bodies();
  expect(tried(() => bodies.share(64 * MIB).whole(Buffer.alloc(64 * MIB, "…")))).toBe("goes");
});

test("where large ones take all they may, small ones find room", () => {
  const bodies = new Bodies();
  while (tried(() => bodies.share(LARGEST).came(MIB)) === "goes");
  expect(tried(() => bodies.share(LARGEST).announced(MIB))).toBe(429);
  const small = () => tried(() => bodies.share(LARGEST).whole(text(100_000)));
  const found = Array.from({ length: 60 }, small);
  expect(found).toEqual(found.map(() => "goes"));
  let most = 1000;
  while (small() === "goes" && most-- > 0);
  expect(most).toBeGreaterThan(0);
});

test("what is given back is free, once, and nothing is taken after that", () => {
  const bodies = new Bodies();
  const share = bodies.share(LARGEST);
  share.announced(MIB);
  expect(bodies.taken).toBe(0);
  share.came(1000);
  share.came(500);
  const before = bodies.taken;
  share.whole(text(1000));
  expect([before, bodies.taken]).toEqual([6000, 6000]);
  share.giveBack();
  share.giveBack();
  share.came(5000);
  expect(bodies.taken).toBe(0);
});

test("many small values cost more than their bytes, and in a text they cost none; what never fits is refused for good", () => {
  const long = JSON.stringify({ text: "[{,:}]".repeat(1000) });
  expect(costOf(Buffer.from(long))).toBeLessThan(7 * long.length);
  const quoted = JSON.stringify({ text: '\\"{'.repeat(1000) });
  expect(costOf(Buffer.from(quoted))).toBeLessThan(7 * quoted.length);
  const values = `[${"{},".repeat(1000)}{}]`;
  expect(costOf(Buffer.from(values))).toBeGreaterThan(150 * values.length);
  const flood = Buffer.from(`[${"{},".repeat(MIB)}{}]`);
  expect(tried(() => new Bodies().share(LARGEST).whole(flood))).toBe(413);
});
