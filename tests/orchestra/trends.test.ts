/** What the history suggests. */
import { describe, expect, test } from "bun:test";
import { suggestionsOf, trendsOf } from "../../lib/orchestra/trends.ts";
import type { Outcome, PastRun, ScriptId } from "../../lib/unit.ts";

const NOW = Date.parse("2026-06-08T00:00:00.000Z");
const DAY = 86_400_000;

/** Newest first, a day apart. */
function past(
  script: ScriptId,
  runs: readonly (readonly [Outcome, number, string?])[],
): readonly PastRun[] {
  return runs.map(([outcome, took_ms, because], i) => ({
    run: `${script}-${i}`,
    script,
    outcome,
    took_ms,
    at: new Date(NOW - i * DAY).toISOString(),
    ...(because === undefined ? {} : { because }),
  }));
}
const ids = (runs: readonly PastRun[]) => suggestionsOf(runs, NOW).map((one) => one.id);

test("a trend counts, and compares the last run with the ones before", () => {
  const [trend] = trendsOf(
    past("03_build_llama_cpp", [
      ["changed", 900],
      ["rolled-back", 5, "x"],
      ["changed", 300],
      ["changed", 100],
    ]),
  );
  expect(trend).toMatchObject({
    runs: 4,
    failed: 1,
    last_ms: 900,
    median_ms: 200,
    recent: ["changed", "changed", "rolled-back", "changed"],
  });
});

describe("each suggestion appears and vanishes", () => {
  test("keeps failing", () => {
    const twice = past("03_install_models", [
      ["rolled-back", 1, "download-failed"],
      ["rolled-back", 1, "download-failed"],
    ]);
    expect(ids(twice)).toEqual(["keeps-failing-03_install_models"]);
    expect(suggestionsOf(twice, NOW)[0]?.fix?.length).toBeGreaterThan(0);
    expect(
      ids(
        past("03_install_models", [
          ["changed", 1],
          ["rolled-back", 1, "download-failed"],
          ["rolled-back", 1, "download-failed"],
        ]),
      ),
    ).toEqual([]);
    expect(
      ids(
        past("03_install_models", [
          ["rolled-back", 1, "hash-differs"],
          ["rolled-back", 1, "download-failed"],
        ]),
      ),
    ).toEqual([]);
  });
  test("keeps failing, and up has stopped running it: later where it may pass by itself", () => {
    const halted = (because: string, runs: number) =>
      suggestionsOf(
        past(
          "03_install_models",
          Array.from({ length: runs }, () => ["rolled-back", 1, because] as const),
        ),
        NOW,
      )[0]?.level;
    expect([halted("hash-differs", 2), halted("hash-differs", 3)]).toEqual(["warn", "fail"]);
    expect([halted("fetch-failed", 8), halted("fetch-failed", 9)]).toEqual(["warn", "fail"]);
  });
  test("slower than it was", () => {
    expect(
      ids(
        past("03_build_llama_cpp", [
          ["changed", 60_000],
          ["changed", 20_000],
          ["changed", 21_000],
          ["changed", 19_000],
        ]),
      ),
    ).toEqual(["slower-03_build_llama_cpp"]);
    expect(
      ids(
        past("03_build_llama_cpp", [
          ["changed", 30_000],
          ["changed", 20_000],
          ["changed", 21_000],
          ["changed", 19_000],
        ]),
      ),
    ).toEqual([]);
    expect(
      ids(
        past("03_build_llama_cpp", [
          ["changed", 60_000],
          ["changed", 20_000],
        ]),
      ),
    ).toEqual([]);
  });
  test("keeps repairing", () => {
    const three: readonly (readonly [Outcome, number])[] = [
      ["changed", 1],
      ["changed", 1],
      ["changed", 1],
    ];
    expect(ids(past("00_check_structure", three))).toEqual(["keeps-changing-00_check_structure"]);
    expect(ids(past("00_check_structure", three.slice(1)))).toEqual([]);
    expect(ids(past("03_install_models", three))).toEqual([]);
    expect(suggestionsOf(past("00_check_structure", three), NOW + 30 * DAY)).toEqual([]);
  });
  test("stays below its baseline", () => {
    expect(
      ids(
        past("04_llm_benchmark", [
          ["below-baseline", 1, "slow"],
          ["below-baseline", 1, "slow"],
        ]),
      ),
    ).toEqual(["stays-below-baseline"]);
    expect(
      ids(
        past("04_llm_benchmark", [
          ["below-baseline", 1, "slow"],
          ["changed", 1],
        ]),
      ),
    ).toEqual([]);
  });
});

test("nothing ran, nothing is suggested", () => {
  expect([trendsOf([]), suggestionsOf([], NOW)]).toEqual([[], []]);
});
