/** The history of a figure as a plot of text. Pure. */
import { table } from "../../report/text.ts";
import type { BenchFacts, BenchModel } from "./facts.ts";
import { chosenModels, latest } from "./plan.ts";
import type { KeptResult } from "./results.ts";
import { showStat } from "./stats.ts";
import type { Args } from "../../unit.ts";

/** One point: a value, and what sets it apart from its neighbours, e.g. the build. */
export interface Point {
  readonly value: number;
  readonly group: string;
}

/** Eighths of a cell, from empty to full. */
const BARS = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;
const ROWS = 6;
const COLUMNS = 60;

/**
 * Bars from zero to the largest value, the latest at the right, with a scale at the left and, below, a mark where the group changes ("a", "b" …).
 * Values that are not finite or negative count as zero. [] for no points.
 */
export function plot(points: readonly Point[]): readonly string[] {
  const shown = points.slice(-COLUMNS);
  if (shown.length === 0) return [];
  const values = shown.map(({ value }) => (Number.isFinite(value) && value > 0 ? value : 0));
  const top = niceTop(Math.max(...values));
  const heights = values.map((value) => Math.round((value / top) * ROWS * 8));
  const scale = Math.max(...[top, top / 2].map((one) => label(one).length));
  const rows = Array.from({ length: ROWS }, (_, at) => {
    const row = ROWS - 1 - at;
    const cells = heights.map((height) => BARS[Math.max(0, Math.min(8, height - row * 8))] ?? " ");
    const named = row === ROWS - 1 ? label(top) : row === ROWS / 2 - 1 ? label(top / 2) : "";
    return `${named.padStart(scale)} ┤${cells.join("")}`.trimEnd();
  });
  const groups = [...new Set(shown.map(({ group }) => group))];
  const marks = shown.map(({ group }, at) =>
    at === 0 || shown[at - 1]?.group !== group
      ? String.fromCodePoint(97 + (groups.indexOf(group) % 26))
      : " ",
  );
  return [
    ...rows,
    `${"0".padStart(scale)} └${"─".repeat(shown.length)}`,
    ...(groups.length > 1
      ? [
          `${" ".repeat(scale + 2)}${marks.join("")}`.trimEnd(),
          ...groups.map(
            (group, at) =>
              `${" ".repeat(scale + 2)}${String.fromCodePoint(97 + (at % 26))} = ${group}`,
          ),
        ]
      : []),
  ];
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function niceTop(largest: number): number {
  if (largest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return ([1, 2, 2.5, 5, 10].find((one) => one * power >= largest) ?? 10) * power;
}
function label(value: number): string {
  return value >= 10 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(2);
}

/** For each chosen model: the latest figures as a table, and the history of its generation speed. */
export function pictureOf(facts: BenchFacts, want: Args): readonly string[] {
  return chosenModels(facts, want).flatMap((model) => [
    ...latestTable(facts, model),
    ...history(facts.results, model),
  ]);
}

function latestTable(facts: BenchFacts, model: BenchModel): readonly string[] {
  const result = latest(facts, model);
  if (!result) return [];
  const { conditions, rss } = result;
  const rows = [
    ["", "prompt tokens/s", "generated tokens/s", "first token ms", "all requests tokens/s"],
    ["llama-bench", showStat(result.bench.prompt), showStat(result.bench.generation), "", ""],
    ...result.served.map((one) => [
      `served, ${one.concurrent} at once`,
      showStat(one.prompt),
      showStat(one.generation),
      showStat(one.firstTokenMs),
      showStat(one.total),
    ]),
  ];
  const facets = [
    `memory ${rss === undefined ? "unknown" : `${Math.round(rss / 2 ** 20)} MiB`}`,
    `ready after ${(result.readyMs / 1000).toFixed(1)} s`,
    conditions.celsius
      ? `${Math.round(conditions.celsius.before)} to ${Math.round(conditions.celsius.most)} °C`
      : "temperature unknown",
    conditions.clock ? `clock ${(conditions.clock.mean / 1e9).toFixed(2)} GHz` : "clock unknown",
    conditions.throttled ? `throttled ${conditions.throttled.times} times` : "throttling unknown",
    conditions.energy ? `${conditions.energy.watts.toFixed(1)} W` : "power unknown",
    ...(conditions.othersBusy === undefined
      ? []
      : [`others took ${Math.round(conditions.othersBusy * 100)} %`]),
  ];
  return [
    `${model.name}, build ${result.build}, ${result.load.prompt} + ${result.load.generate} tokens, median (lowest to highest)`,
    ...table(rows).map((line) => `  ${line}`),
    `  ${facets.join(", ")}`,
  ];
}

/** Generation speed of all measurements of a model on this host, whatever the build. */
function history(results: readonly KeptResult[], model: BenchModel): readonly string[] {
  const own = results.filter((one) => one.series.model === model.series.model);
  if (own.length < 2) return [];
  const points = own.map(({ result, series }): Point => {
    const single = result.served.find((one) => one.concurrent === 1);
    return {
      value: (single?.generation ?? result.bench.generation).median,
      group: `build ${series.build}, profile ${series.profile}`,
    };
  });
  const first = own.at(-COLUMNS)?.result.at ?? own[0]?.result.at ?? "";
  return [
    `  ${model.name}: generated tokens/s, ${first.slice(0, 10)} to ${own.at(-1)?.result.at.slice(0, 10) ?? ""}`,
    ...plot(points).map((line) => `  ${line}`),
  ];
}
