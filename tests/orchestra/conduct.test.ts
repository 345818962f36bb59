/** A sequence of scripts: what is tried again, and what ends it. */
import { describe, expect, test } from "bun:test";
import { conduct, haltOf, streakOf, type Conductor } from "../../lib/orchestra/conduct.ts";
import { retrying } from "../../lib/machine/retry.ts";
import type { AnyUnit, Outcome, PastRun, RunReport, ScriptId } from "../../lib/unit.ts";

const A = "00_check_structure";
const B = "01_host_inventory";
const silent = { line: () => {}, detail: () => {}, progress: () => {}, stream: () => {} };

function report(script: ScriptId, outcome: Outcome, failure?: string): RunReport {
  return {
    schema: 1,
    run: "r",
    script,
    host: "h",
    outcome,
    at: "2026-01-01T00:00:00.000Z",
    took_ms: 1,
    facts: null,
    findings: [],
    steps: [],
    unasked: [],
    ...(failure === undefined ? {} : { error: { id: failure, what: "w", why: "y" } }),
  };
}
function past(outcomes: readonly (readonly [Outcome, string?])[]): readonly PastRun[] {
  return outcomes.map(([outcome, because], i) => ({
    run: `r${i}`,
    script: A,
    at: "2026-01-01T00:00:00.000Z",
    outcome,
    took_ms: 1,
    ...(because === undefined ? {} : { because }),
  }));
}
function conductor(
  answers: Record<string, RunReport[]>,
  more: Partial<Conductor> = {},
): Conductor & { ran: string[] } {
  const ran: string[] = [];
  return {
    ran,
    load: async (script) => ({ id: script }) as AnyUnit,
    run: async (unit) => {
      ran.push(unit.id);
      const next = answers[unit.id]?.shift();
      if (!next) throw new Error(`no answer left for ${unit.id}`);
      return next;
    },
    past: () => [],
    heard: () => {},
    say: silent,
    signal: new AbortController().signal,
    patience: { times: 3, first: 1, longest: 4 },
    ...more,
  };
}

describe("a sequence", () => {
  test("is changed when one script changed something, else converged", async () => {
    const both = conductor({ [A]: [report(A, "converged")], [B]: [report(B, "changed")] });
    expect((await conduct([{ script: A }, { script: B }], both)).outcome).toBe("changed");
    const none = conductor({ [A]: [report(A, "converged")], [B]: [report(B, "converged")] });
    expect((await conduct([{ script: A }, { script: B }], none)).outcome).toBe("converged");
  });

  test("ends with the first failure", async () => {
    const one = conductor({
      [A]: [report(A, "blocked", "cmake-missing")],
      [B]: [report(B, "converged")],
    });
    const { outcome, runs } = await conduct([{ script: A }, { script: B }], one);
    expect([outcome, runs.length, one.ran]).toEqual(["blocked", 1, [A]]);
  });

  test("tries again what may pass, at most three times", async () => {
    const passing = conductor({
      [A]: [report(A, "rolled-back", "download-failed"), report(A, "changed")],
    });
    expect((await conduct([{ script: A }], passing)).outcome).toBe("changed");
    const never = conductor({
      [A]: Array.from({ length: 9 }, () => report(A, "rolled-back", "download-failed")),
    });
    expect((await conduct([{ script: A }], never)).outcome).toBe("rolled-back");
    expect(never.ran.length).toBe(3);
  });

  test("says before each wait why, how long, and which attempt follows", async () => {
    const said: string[] = [];
    const run = conductor(
      {
        [A]: [
          report(A, "rolled-back", "fetch-failed"),
          report(A, "rolled-back", "fetch-failed"),
          report(A, "changed"),
        ],
      },
      {
        say: { ...silent, line: (text) => void said.push(text) },
        patience: { times: 3, first: 20, longest: 30 },
      },
    );
    const began = performance.now();
    await conduct([{ script: A }], run);
    expect(performance.now() - began).toBeGreaterThanOrEqual(50);
    expect(said.map((line) => line.replace(/.*fetch-failed: /, ""))).toEqual([
      "y. It may pass: trying again in 20 ms (attempt 2 of 3)",
      "y. It may pass: trying again in 30 ms (attempt 3 of 3)",
    ]);
  });

  test("does not try again what will not pass, nor what could not be taken back", async () => {
    for (const one of [
      report(A, "rolled-back", "smoke-differs"),
      report(A, "broken", "download-failed"),
      report(A, "interrupted", "download-failed"),
    ]) {
      const run = conductor({ [A]: [one, report(A, "changed")] });
      expect((await conduct([{ script: A }], run)).outcome).toBe(one.outcome);
      expect(run.ran.length).toBe(1);
    }
  });

  test("an interrupt while waiting ends it at once, as interrupted", async () => {
    const stop = new AbortController();
    const run = conductor(
      { [A]: [report(A, "rolled-back", "download-failed")] },
      { signal: stop.signal, patience: { times: 3, first: 60_000, longest: 60_000 } },
    );
    setTimeout(() => stop.abort(new Error("SIGINT")), 20);
    const began = performance.now();
    expect((await conduct([{ script: A }], run)).outcome).toBe("interrupted");
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test("halts a script that failed three times in the same way, unless told again", async () => {
    const failing = past([
      ["rolled-back", "hash-differs"],
      ["rolled-back", "hash-differs"],
      ["broken", "hash-differs"],
    ]);
    const run = conductor({ [A]: [report(A, "changed")] }, { past: () => failing });
    const halted = await conduct([{ script: A }], run);
    expect([halted.outcome, run.ran.length, halted.halted?.id]).toEqual(["blocked", 0, "halted"]);
    expect(halted.halted?.what).toContain("3 times in a row with hash-differs");
    expect(halted.halted?.fix?.length).toBeGreaterThan(0);
    const again = conductor({ [A]: [report(A, "changed")] }, { past: () => failing, again: true });
    expect((await conduct([{ script: A }], again)).outcome).toBe("changed");
  });
});

describe("a streak", () => {
  test("counts only the same failure, back from the last run", () => {
    expect(
      streakOf(
        past([
          ["rolled-back", "a"],
          ["rolled-back", "a"],
          ["rolled-back", "b"],
          ["rolled-back", "a"],
        ]),
      ).length,
    ).toBe(2);
    expect(streakOf(past([["changed"], ["rolled-back", "a"]])).length).toBe(0);
    expect(streakOf([]).length).toBe(0);
  });
  test("a blocked run did nothing and never halts", () => {
    expect(
      haltOf(
        A,
        past([
          ["blocked", "x"],
          ["blocked", "x"],
          ["blocked", "x"],
        ]),
      ),
    ).toBeUndefined();
  });
  test("a failure that may pass halts after three sequences of three attempts each", () => {
    const offline = (runs: number) =>
      past(Array.from({ length: runs }, () => ["rolled-back", "fetch-failed"] as const));
    expect(haltOf(A, offline(3))).toBeUndefined(); // one `up` without a network
    expect(haltOf(A, offline(8))).toBeUndefined();
    expect(haltOf(A, offline(9))?.what).toContain("9 times in a row with fetch-failed");
  });
  test("two of the same, an other one, then again: no halt", () => {
    expect(
      haltOf(
        A,
        past([["rolled-back", "a"], ["rolled-back", "a"], ["changed"], ["rolled-back", "a"]]),
      ),
    ).toBeUndefined();
  });
});

describe("retrying", () => {
  const patience = { times: 3, first: 1, longest: 2 };
  test("what is thrown is thrown at once", async () => {
    let made = 0;
    const run = retrying(
      async () => {
        made++;
        if (made === 2) throw new Error("ours");
        return 0;
      },
      () => true,
      patience,
      new AbortController().signal,
    );
    await expect(run).rejects.toThrow("ours");
    expect(made).toBe(2);
  });
  test("no wait after the last attempt", async () => {
    const began = performance.now();
    await retrying(
      async () => 0,
      () => true,
      { times: 2, first: 5, longest: 5000 },
      new AbortController().signal,
    );
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
