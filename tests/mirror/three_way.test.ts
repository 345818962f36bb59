/**
 * Two hosts that both write: for any history of edits, pushes, crashes amid a push and edits between a look and its push, a version is replaced only by one
 * that was made from it.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { agreedOf, judge, merge, type State, type States } from "../../lib/mirror/three_way.ts";

/** A host: what stands at each path, which versions each was made from, and what it has written down as agreed. */
class Host {
  readonly states: Record<string, string> = {};
  readonly made: Record<string, Set<string>> = {};
  record: States = {};

  edit(path: string, state: State): void {
    const from = (this.made[path] ??= new Set());
    if (state === null) delete this.states[path];
    else {
      this.states[path] = state;
      from.add(state);
    }
  }
}

type Op =
  | { readonly do: "edit"; readonly host: 0 | 1; readonly path: string; readonly remove: boolean }
  | {
      readonly do: "push";
      readonly host: 0 | 1;
      /** Steps that are carried out before the run is killed; Infinity: all. */
      readonly steps: number;
      /** A path that the other side edits after it was looked at. */
      readonly between: string | undefined;
      readonly settle: string | undefined;
    };

const PATHS = ["shared.cfg", "agents/a", "dashboards/b"] as const;
const anyPath = fc.constantFrom(...PATHS);
const anyHost = fc.constantFrom<0 | 1>(0, 1);
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  fc.record({
    do: fc.constant("edit" as const),
    host: anyHost,
    path: anyPath,
    remove: fc.boolean(),
  }),
  fc.record({
    do: fc.constant("push" as const),
    host: anyHost,
    steps: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 5 })),
    between: fc.option(anyPath, { nil: undefined, freq: 6 }),
    settle: fc.option(anyPath, { nil: undefined, freq: 6 }),
  }),
);

/** One push as the two ends carry it out: each change only where the other side is as it was seen. */
function push(from: Host, to: Host, op: Op & { do: "push" }, fresh: () => string): void {
  let left = op.steps;
  const step = () => left-- > 0;
  const settled = new Set(op.settle === undefined ? [] : [op.settle]);
  const plan = merge(from.states, to.states, { mine: from.record, theirs: to.record }, settled);
  if (op.between !== undefined) to.edit(op.between, fresh());
  const agreed: Record<string, string> = { ...plan.agreed };
  for (const { path, was, now } of plan.changes) {
    if (!step()) return;
    const there = to.states[path] ?? null;
    if (there !== was && there !== now) {
      delete agreed[path];
      if (to.record[path] !== undefined) agreed[path] = to.record[path];
      continue;
    }
    if (there !== null && there !== now && !settled.has(path)) {
      // the law: what is replaced is what the new version was made from
      expect(from.made[path]?.has(there)).toBe(true);
    }
    if (now === null) delete to.states[path];
    else to.states[path] = now;
    to.made[path] = new Set([...(to.made[path] ?? []), ...(from.made[path] ?? [])]);
  }
  if (!step()) return;
  to.record = agreed;
  if (!step()) return;
  from.record = plan.agreed;
}

function play(ops: readonly Op[]): readonly [Host, Host] {
  const hosts: readonly [Host, Host] = [new Host(), new Host()];
  let count = 0;
  const fresh = () => (count++).toString(16).padStart(64, "0");
  for (const op of ops) {
    if (op.do === "edit") hosts[op.host].edit(op.path, op.remove ? null : fresh());
    else push(hosts[op.host], hosts[op.host === 0 ? 1 : 0], op, fresh);
  }
  return hosts;
}

const whole = { do: "push", steps: Number.POSITIVE_INFINITY, between: undefined } as const;
const none = () => {
  throw new Error("nobody edits any more");
};

test("no version is replaced but by one that was made from it, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(anyOp, { maxLength: 40 }), (ops) => void play(ops)),
    { numRuns: 3000 },
  );
});

test("once nobody edits any more, both sides come to the same but for conflicts, and a choice ends those", () => {
  fc.assert(
    fc.property(fc.array(anyOp, { maxLength: 30 }), (ops) => {
      const [a, b] = play(ops);
      for (let turn = 0; turn < 2; turn++) {
        push(a, b, { ...whole, host: 0, settle: undefined }, none);
        push(b, a, { ...whole, host: 1, settle: undefined }, none);
      }
      const { conflicts, changes, theirs } = merge(a.states, b.states, {
        mine: a.record,
        theirs: b.record,
      });
      expect({ changes, theirs }).toEqual({ changes: [], theirs: [] });
      for (const path of PATHS) {
        const open = conflicts.some((one) => one.path === path);
        if (!open) expect(a.states[path]).toBe(b.states[path] as string);
      }
      for (const { path } of conflicts) push(a, b, { ...whole, host: 0, settle: path }, none);
      expect(b.states).toEqual(a.states);
      expect(b.record).toEqual(a.record);
      expect(a.record).toEqual(a.states);
    }),
    { numRuns: 2000 },
  );
});

test("each case of three, one by one", () => {
  expect(judge("x", "x", "x")).toBe("same");
  expect(judge(null, null, null)).toBe("same");
  expect(judge(null, "y", "y")).toBe("agree");
  expect(judge("x", null, null)).toBe("agree");
  expect(judge("x", "y", "x")).toBe("mine");
  expect(judge("x", null, "x")).toBe("mine");
  expect(judge(null, "y", null)).toBe("mine");
  expect(judge("x", "x", "y")).toBe("theirs");
  expect(judge("x", "x", null)).toBe("theirs");
  expect(judge("x", "y", "z")).toBe("conflict");
  expect(judge("x", null, "z")).toBe("conflict");
  expect(judge(null, "y", "z")).toBe("conflict");
});

test("where the two records differ, neither side's version counts as unchanged", () => {
  expect(agreedOf({ a: "x", b: "y" }, { a: "x", b: "z" })).toEqual({ a: "x" });
  const { conflicts, changes } = merge({ b: "y" }, { b: "z" }, { mine: { b: "y" }, theirs: {} });
  expect({ conflicts: conflicts.length, changes }).toEqual({ conflicts: 1, changes: [] });
});
