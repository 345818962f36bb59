/** What the journal tells over time: how often each script ran, failed and slowed down, and what that suggests. */
import type { Finding, Outcome, PastRun, ScriptId } from "../unit.ts";
import { haltsAfter, streakOf } from "./conduct.ts";
import { knownFix } from "./fixes.ts";

/** One script over time. Durations are milliseconds, of runs that changed something. */
export interface Trend {
  readonly script: ScriptId;
  readonly runs: number;
  readonly failed: number;
  readonly last: { readonly at: string; readonly outcome: Outcome; readonly because?: string };
  /** Of all but the last, and of the last; left out where there is none. */
  readonly median_ms?: number;
  readonly last_ms?: number;
  /** Outcomes of the last runs, oldest first, at most 20. */
  readonly recent: readonly Outcome[];
}

const GOOD: ReadonlySet<Outcome> = new Set(["converged", "changed", "planned"]);
const DAY = 86_400_000;

/** The trend of each script that ever ran, in running order of their names. `past` is newest first. */
export function trendsOf(past: readonly PastRun[]): readonly Trend[] {
  const scripts = [...new Set(past.map((run) => run.script))].sort();
  return scripts.flatMap((script) => {
    const runs = past.filter((run) => run.script === script);
    const [last] = runs;
    if (!last) return [];
    const [newest, ...older] = runs
      .filter((run) => run.outcome === "changed")
      .map((run) => run.took_ms);
    const { at, outcome, because } = last;
    const typical = median(older);
    return [
      {
        script,
        runs: runs.length,
        failed: runs.filter((run) => !GOOD.has(run.outcome)).length,
        last: { at, outcome, ...(because === undefined ? {} : { because }) },
        ...(typical === undefined ? {} : { median_ms: typical }),
        ...(newest === undefined ? {} : { last_ms: newest }),
        recent: runs
          .slice(0, 20)
          .map((run) => run.outcome)
          .reverse(),
      },
    ];
  });
}

/** What the trends suggest, each with a command. `now` is milliseconds since 1970, `past` newest first. */
export function suggestionsOf(past: readonly PastRun[], now: number): readonly Finding[] {
  return trendsOf(past).flatMap((trend) => {
    const runs = past.filter((run) => run.script === trend.script);
    return [
      ...keepsFailing(trend, runs),
      ...slowed(trend, runs),
      ...keepsChanging(trend, runs, now),
      ...fellBelow(trend, runs),
    ];
  });
}

function keepsFailing({ script }: Trend, runs: readonly PastRun[]): readonly Finding[] {
  const { length, because } = streakOf(runs);
  if (length < 2 || because === undefined) return [];
  const fix = knownFix(script, because);
  const halted = length >= haltsAfter(because);
  return [
    {
      id: `keeps-failing-${script}`,
      level: halted ? "fail" : "warn",
      what: `${script} failed ${length} times in a row with ${because}`,
      why: halted ? `up does not run it any more. ${fix.advice}` : fix.advice,
      evidence: runs
        .slice(0, length)
        .map((run) => run.run)
        .join(", "),
      fix: fix.command,
    },
  ];
}

/** Fewer runs than this are no trend. */
const ENOUGH = 3;

function slowed(
  { script, median_ms, last_ms }: Trend,
  runs: readonly PastRun[],
): readonly Finding[] {
  const changed = runs.filter((run) => run.outcome === "changed").length;
  if (changed <= ENOUGH || median_ms === undefined || last_ms === undefined) return [];
  if (last_ms < 2 * median_ms || last_ms - median_ms < 5000) return [];
  return [
    {
      id: `slower-${script}`,
      level: "warn",
      what: `${script} took ${seconds(last_ms)}, usually ${seconds(median_ms)}`,
      why: "the host is busier, hotter or its disk slower than it was",
      evidence: `${changed} runs in the journal`,
      fix: ["./bin/01_host_inventory"],
    },
  ];
}

/** A script that repairs again and again works against somebody. */
function keepsChanging(
  { script }: Trend,
  runs: readonly PastRun[],
  now: number,
): readonly Finding[] {
  if (script !== "00_check_structure" && script !== "02_scaffold_dirs") return [];
  const week = runs.filter(
    (run) => run.outcome === "changed" && now - Date.parse(run.at) < 7 * DAY,
  );
  if (week.length < ENOUGH) return [];
  return [
    {
      id: `keeps-changing-${script}`,
      level: "warn",
      what: `${script} had to repair the home ${week.length} times within a week`,
      why: "something else keeps changing it: its log names each path",
      evidence: week.map((run) => run.run).join(", "),
      fix: ["./bin/shelter", "logs", script],
    },
  ];
}

function fellBelow({ script }: Trend, runs: readonly PastRun[]): readonly Finding[] {
  const count = runs.findIndex((run) => run.outcome !== "below-baseline");
  const below = count === -1 ? runs.length : count;
  if (script !== "04_llm_benchmark" || below < 2) return [];
  return [
    {
      id: "stays-below-baseline",
      level: "warn",
      what: `the benchmark was below its baseline ${below} times in a row`,
      why: "it is no accident: the last good build is kept, and going back is one link",
      evidence: runs
        .slice(0, below)
        .map((run) => run.run)
        .join(", "),
      fix: ["./bin/03_build_llama_cpp", "--undo"],
    },
  ];
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
