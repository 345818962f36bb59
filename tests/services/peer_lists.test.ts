/** What peers say that they serve: the first word and a first change at once, further changes at a pace that no peer sets. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { PeerLists } from "../../lib/services/peer_lists.ts";

const MINUTE = 60_000;
const list = (name: string) => [{ name }];

test("the first word and the first change are taken at once, the next change ten minutes later", () => {
  const lists = new PeerLists();
  expect(lists.take("there", undefined, 0)).toBeUndefined();
  expect(lists.take("there", list("a"), 0)).toEqual(list("a"));
  expect(lists.take("there", list("b"), 15_000)).toEqual(list("b"));
  expect(lists.take("there", list("c"), 30_000)).toEqual(list("b"));
  expect(lists.take("there", list("c"), 10 * MINUTE + 14_999)).toEqual(list("b"));
  expect(lists.take("there", list("c"), 10 * MINUTE + 15_000)).toEqual(list("c"));
});

test("the same list again is no change, and each peer has a pace of its own", () => {
  const lists = new PeerLists();
  lists.take("there", list("a"), 0);
  lists.take("there", list("b"), 1);
  for (let at = 2; at < 100; at++) expect(lists.take("there", list("b"), at)).toEqual(list("b"));
  lists.take("yonder", list("x"), 100);
  expect(lists.take("yonder", list("y"), 101)).toEqual(list("y"));
  expect(lists.take("there", list("a"), 101)).toEqual(list("b"));
});

test("a peer that is silent leaves the document what it says", () => {
  const lists = new PeerLists();
  lists.take("there", list("a"), 0);
  expect(lists.take("there", undefined, 1)).toBeUndefined();
  expect(lists.take("there", list("a"), 2)).toEqual(list("a"));
});

test("whatever a peer says and when, it changes the document at most once in ten minutes, and once at first", () => {
  const said = fc.record({
    served: fc.option(fc.constantFrom(list("a"), list("b"), [], [...list("a"), ...list("b")]), {
      nil: undefined,
    }),
    after: fc.integer({ min: 1, max: 5 * MINUTE }),
  });
  fc.assert(
    fc.property(fc.array(said, { maxLength: 60 }), (all) => {
      const lists = new PeerLists();
      let [now, last] = [0, ""];
      const changes: number[] = [];
      for (const { served, after } of all) {
        now += after;
        const taken = lists.take("there", served, now);
        if (taken === undefined || JSON.stringify(taken) === last) continue;
        last = JSON.stringify(taken);
        changes.push(now);
      }
      for (let at = 2; at < changes.length; at++) {
        expect((changes[at] ?? 0) - (changes[at - 1] ?? 0)).toBeGreaterThanOrEqual(10 * MINUTE);
      }
    }),
  );
});
