/** `shelter history` and `shelter logs`: what ran, what it suggests, and the detail of a run. */
import { join } from "node:path";
import { layout } from "../cli.ts";
import { UsageError, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { pastRuns } from "../keep/journal.ts";
import { unaskedLines } from "../report/human.ts";
import { duration, printable, table } from "../report/text.ts";
import type { Json, Outcome, ScriptId } from "../unit.ts";
import { asJson, countOf, textOf, type Command, type Desk } from "./desk.ts";
import { isScriptId } from "./names.ts";
import { fallenSpeeds, speedLines, speedsOf } from "./speeds.ts";
import { suggestionsOf, trendsOf } from "./trends.ts";

const MARK: Readonly<Record<Outcome, string>> = {
  converged: "·",
  planned: "·",
  changed: "✓",
  blocked: "□",
  locked: "□",
  "rolled-back": "↶",
  broken: "✗",
  "below-baseline": "▽",
  corrupt: "✗",
  interrupted: "^",
  absent: " ",
};

/** Runs that are listed one by one. */
const LISTED = 20;

export const history: Command = async (desk) => {
  const { probe, place, want } = desk;
  const script = scriptOf(desk);
  const past = pastRuns(probe, script);
  const trends = trendsOf(past);
  const speeds = script === undefined || script === "04_llm_benchmark" ? speedsOf(probe) : [];
  const unasked = [...suggestionsOf(past, probe.now()), ...fallenSpeeds(speeds)];
  const view = layout(want["verbose"] === true);
  const rows = trends.map((one) => [
    `  ${printable(one.script)}`,
    `${one.runs} run${one.runs === 1 ? "" : "s"}`,
    one.failed === 0 ? "none failed" : `${one.failed} failed`,
    one.last_ms === undefined
      ? ""
      : `${duration(one.last_ms)}${one.median_ms === undefined ? "" : ` (usually ${duration(one.median_ms)})`}`,
    one.recent.map((outcome) => MARK[outcome] ?? "?").join(""),
  ]);
  const list = past
    .slice(0, script === undefined ? LISTED / 2 : LISTED)
    .map((run) => [
      `  ${printable(run.at)}`,
      printable(run.script),
      printable(run.outcome),
      duration(run.took_ms),
      run.because === undefined ? "" : `because ${printable(run.because)}`,
    ]);
  return {
    exit: 0,
    json: asJson({
      schema: 1,
      host: place.host,
      outcome: "converged",
      trends,
      runs: past,
      speeds,
      unasked,
    }),
    lines:
      past.length === 0
        ? ["Nothing has run yet", "", ...unaskedLines(unasked, view)]
        : [
            ...table(rows).map((line) => view.paint("steel", line)),
            view.paint(
              "taupe",
              "  ✓ changed  · held  □ blocked  ↶ taken back  ▽ below the baseline  ^ interrupted  ✗ broken or damaged",
            ),
            "",
            ...table(list).map((line) => view.paint("sage", line)),
            "",
            ...speedLines(speeds).map((line) => view.paint("steel", `  ${line}`)),
            ...(speeds.length > 0 ? [""] : []),
            ...unaskedLines(unasked, view),
          ],
  };
};

export const logs: Command = async (desk) => {
  const { probe, place, want } = desk;
  const script = scriptOf(desk);
  const lines = countOf(want, "lines", 200);
  const file = lastLog(desk, script);
  if (file === undefined) {
    throw new ShelterError(
      "no-log",
      script === undefined ? "logs" : `logs ${script}`,
      "nothing was logged yet",
      ["./bin/shelter", "status"],
    );
  }
  const all = (probe.text(file) ?? "").split("\n").filter((line) => line !== "");
  const records = all.slice(-lines).map(recordOf);
  const { paint } = layout(false);
  return {
    exit: 0,
    json: asJson({ schema: 1, host: place.host, outcome: "converged", file, records }),
    lines: [
      paint(
        "dark_gold",
        `${printable(file)}${all.length > lines ? `, the last ${lines} of ${all.length} lines` : ""}`,
      ),
      ...records.map(
        (record) => `${paint("taupe", recordTime(record))} ${paint("sage", recordText(record))}`,
      ),
    ],
  };
};

function scriptOf({ want }: Desk): ScriptId | undefined {
  const word = textOf(want, "script");
  if (word === undefined || isScriptId(word)) return word;
  throw new UsageError("usage", word, "there is no such script", ["./bin/shelter", "status"]);
}

/** The newest log file of one script, or of all; file names sort by time. */
function lastLog({ probe, place }: Desk, script: ScriptId | undefined): string | undefined {
  const folder = join(inHome.memory(place.home, place.host, "00_check_structure"), "..");
  const scripts = script === undefined ? probe.list(folder) : [script];
  return scripts
    .flatMap((name) =>
      probe
        .list(join(folder, name))
        .filter((file) => /^\d{8}-\d{4}\.log$/.test(file))
        .map((file) => join(folder, name, file)),
    )
    .map((path) => ({ path, at: probe.stat(path)?.mtime ?? 0 }))
    .sort((a, b) => b.at - a.at)[0]?.path;
}

/** One line of a log. */
type Detail = { readonly [key: string]: Json };

function recordOf(line: string): Detail {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Detail;
  } catch {
    // a torn line is shown as it is
  }
  return { line };
}

function recordTime(record: Detail): string {
  return typeof record["at"] === "string" ? printable(record["at"]) : "";
}

function recordText(record: Detail): string {
  const said = Object.entries(record).filter(([key]) => key !== "at" && key !== "run");
  const line = said.length === 1 ? record["line"] : undefined;
  return printable(typeof line === "string" ? line : JSON.stringify(Object.fromEntries(said)));
}
