/** A program's age: found wherever the line stands in it, and ordered by version, then by its commit's time. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { isOlder, madeLine, madeOf, newerOf, parseMade } from "../../lib/orchestra/made.ts";
import type { Entry } from "../../lib/machine/probe.ts";
import { madeOn } from "../support/mirror_programs.ts";

/** Eyes that see one file. */
function seeing(content: Uint8Array) {
  const entry = { kind: "file", size: content.length } as Entry;
  return {
    stat: () => entry,
    bytes: (_: string, from: number, length: number) => content.subarray(from, from + length),
  };
}

const MEGABYTE = 1024 * 1024;

test("the line is found at any place of a program, window borders included", () => {
  const line = Buffer.from(madeLine(madeOn(9)));
  const nearBorder = fc
    .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: -200, max: 200 }))
    .map(([windows, by]) => Math.max(0, windows * MEGABYTE + by));
  fc.assert(
    fc.property(nearBorder, nearBorder, (before, after) => {
      const content = Buffer.concat([Buffer.alloc(before, 0xe9), line, Buffer.alloc(after)]);
      expect(madeOf(seeing(content), "program")).toEqual(madeOn(9));
    }),
    { numRuns: 60 },
  );
});

test("a program that says nothing, or says it in part, has no age", () => {
  for (const text of ["", "mountain-shelter made ", madeLine(madeOn(9)).slice(0, -1)])
    expect(madeOf(seeing(Buffer.from(text)), "program")).toBeUndefined();
});

test("the order is by version, then by time; what does not say its age is the oldest", () => {
  const inOrder = [undefined, madeOn(3), madeOn(9), madeOn(1, "0.2.0"), madeOn(1, "0.10.0")];
  for (const [at, one] of inOrder.entries()) {
    for (const [other, two] of inOrder.entries()) {
      expect([at, other, isOlder(one, two)]).toEqual([at, other, at < other]);
      expect(newerOf(one, two)).toEqual(inOrder[Math.max(at, other)]);
    }
  }
});

test("a peer's word on a release is taken only in its own form", () => {
  const made = madeOn(9);
  expect(parseMade({ ...made, more: 1 })).toEqual(made);
  for (const bad of [
    null,
    undefined,
    "x",
    {},
    { ...made, at: "2026" },
    { ...made, version: "1.0.0; rm" },
    { ...made, commit: `${made.commit}\u001B[2J` },
  ])
    expect(parseMade(bad)).toBeUndefined();
});
