#!/usr/bin/env bun
/**
 * `bun run bench [--quick] [--json] [PART …]`: measures each figure and prints it beside its goal, with its spread.
 * Exit code 1 when a goal is missed; with `--quick` only when one is missed by more than half of it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { table } from "../../lib/report/text.ts";
import { median, spread, verdict, type Figure, type Goal, type Measured } from "./figure.ts";
import { hashing, memory, planOfLargeHome, size, startUp } from "./program.ts";
import { BIN, REPOSITORY } from "./ways.ts";

/** Each part can be measured alone by its name. */
const PARTS: Readonly<Record<string, (quick: boolean) => Promise<readonly Measured[]>>> = {
  start: startUp,
  plan: planOfLargeHome,
  hash: hashing,
  memory: () => memory(),
  size: () => Promise.resolve(size()),
  gateway: async (quick) => (await import("./gateway.ts")).figures(quick),
  watcher: async (quick) => (await import("./watcher.ts")).figures(quick),
  failover: async () => (await import("./failover.ts")).figures(),
  mirror: async (quick) => (await import("./mirror.ts")).figures(quick),
  engine: async (quick) => (await import("./served_vs_prebuilt.ts")).figures(quick),
};

const { values, positionals } = parseArgs({
  options: { quick: { type: "boolean" }, json: { type: "boolean" } },
  allowPositionals: true,
});
const unknown = positionals.filter((part) => !(part in PARTS));
if (unknown.length > 0) {
  console.error(`no such part: ${unknown.join(", ")}; there are ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
const quick = values.quick === true;
if (!existsSync(join(BIN, "shelter"))) {
  const built = Bun.spawnSync([process.execPath, "scripts/build.ts"], {
    cwd: REPOSITORY,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (!built.success) process.exit(1);
}
const measured: Measured[] = [];
for (const [part, measure] of Object.entries(PARTS)) {
  if (positionals.length > 0 && !positionals.includes(part)) continue;
  if (!values.json) console.error(`measuring: ${part}`);
  try {
    measured.push(...(await measure(quick)));
  } catch (error) {
    // a figure that can't be measured must not look like one that holds
    console.error(error);
    measured.push({
      name: part,
      unit: "x",
      goal: { atLeast: 1 },
      values: [0],
      how: "it could not be measured",
    });
  }
}
const figures = measured.filter((one): one is Figure => "values" in one);
const missed = figures.filter((one) => (quick ? verdict(one) === "far" : verdict(one) !== "holds"));
if (values.json) {
  const documents = measured.map((one) =>
    "values" in one
      ? { ...one, median: median(one.values), spread: spread(one.values), verdict: verdict(one) }
      : one,
  );
  console.log(
    JSON.stringify(
      { schema: 1, quick, figures: documents, missed: missed.map((one) => one.name) },
      null,
      2,
    ),
  );
} else {
  const marks = { holds: "✓", near: "~", far: "✗" } as const;
  const rows = measured.map((one) =>
    "values" in one
      ? [
          "comparison" in one.goal ? " " : marks[verdict(one)],
          one.name,
          `${shown(median(one.values))} ${one.unit}`,
          one.values.length > 1 ? `±${(spread(one.values) * 100).toFixed(0)} %` : "",
          goalText(one.goal, one.unit),
          one.how,
        ]
      : ["-", one.name, "left out", "", "", one.leftOut],
  );
  console.log(table([["", "figure", "median", "spread", "goal", "how"], ...rows]).join("\n"));
  const verb = quick ? "far off" : "missed";
  console.log(
    `${figures.length} figures, ${missed.length} ${verb}${missed.length > 0 ? `: ${missed.map((one) => one.name).join("; ")}` : ""}`,
  );
}
process.exitCode = missed.length > 0 ? 1 : 0;

function goalText(goal: Goal, unit: string): string {
  if ("comparison" in goal) return "comparison";
  return "atMost" in goal ? `<= ${goal.atMost} ${unit}` : `>= ${goal.atLeast} ${unit}`;
}

function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
