/** `shelter undo`: takes back the last applied run, of one script or of all; `--all` takes back everything. */
import { basename, join } from "node:path";
import { onSignals } from "../cli/signals.ts";
import { layout, printReport, runHere } from "../cli.ts";
import { EXIT, UsageError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { readJournal, standingRuns } from "../keep/journal.ts";
import { isGone, lockHolder } from "../keep/lock.ts";
import { createAct } from "../machine/act.ts";
import { TEMPORARY_PREFIX } from "../machine/durable.ts";
import type { Probe } from "../machine/probe.ts";
import { printable } from "../report/text.ts";
import type { Outcome, RunReport, ScriptId } from "../unit.ts";
import {
  asJson,
  loadUnit,
  othersOf,
  textOf,
  wantFor,
  type Command,
  type Desk,
  type Spoken,
} from "./desk.ts";
import { isScriptId } from "./names.ts";
import { runLine, warningLines } from "./summary.ts";
import { endPairings, refuseWhatCannotBeTold, refuseWhatIsNoScripts } from "./undo_pairings.ts";

export const undo: Command = async (desk) => {
  const { want } = desk;
  const script = textOf(want, "script");
  if (script !== undefined && !isScriptId(script)) {
    throw new UsageError("usage", `undo ${script}`, "there is no such script", [
      "./bin/shelter",
      "status",
    ]);
  }
  if (want["all"] !== true && want["forget"] === true) {
    throw new UsageError("usage", "undo --forget", "it goes with --all", [
      "./bin/shelter",
      "undo",
      "--all",
      "--forget",
    ]);
  }
  if (want["all"] === true) return undoAll(desk, script);
  const last = standingRuns(readJournal(desk.probe), script).find(
    (run) => run.script in desk.units,
  );
  if (script === undefined) refuseWhatIsNoScripts(desk.probe, last?.index ?? -1, last?.script);
  if (!last) {
    const json = { schema: 1, host: desk.place.host, outcome: "converged", runs: [] };
    return { exit: 0, json, lines: ["There is no applied run to take back"] };
  }
  const report = await takeBack(
    desk,
    last.script,
    onSignals(() => undefined),
  );
  if (want["json"] !== true) printReport(report, want);
  return {
    exit: EXIT[report.outcome],
    json: asJson({ schema: 1, host: desk.place.host, outcome: report.outcome, runs: [report] }),
    lines: [],
  };
};

async function takeBack(desk: Desk, script: ScriptId, signal: AbortSignal): Promise<RunReport> {
  const unit = await loadUnit(desk.units, script);
  const want = await wantFor(unit, desk.want, { undo: true });
  return runHere(unit, desk.machine, desk.place, want, { others: othersOf(desk.units), signal });
}

/**
 * Newest first. A script whose last run can't be taken back waits, with all its earlier runs, and is tried again once another script's run is gone: old
 * snapshots are folded together, so a script's oldest run may have to wait for a younger one of another script.
 */
async function undoAll(desk: Desk, only: ScriptId | undefined): Promise<Spoken> {
  const { probe, place, want } = desk;
  const busy = atWork(desk);
  if (busy) return busy;
  const forget = want["forget"] === true;
  if (only === undefined) await refuseWhatCannotBeTold(desk, forget);
  const signal = onSignals(() => undefined);
  const stuck = new Set<ScriptId>();
  let runs: RunReport[] = [];
  let paired = only === undefined;
  for (;;) {
    if (signal.aborted) break;
    const last = standingRuns(readJournal(probe), only).find(
      (run) => !stuck.has(run.script) && run.script in desk.units,
    );
    if (!last) {
      if (!paired) break;
      // after what was mirrored: the other host takes that back only while it is paired
      paired = false;
      const ended = await endPairings(desk, forget, signal);
      if (ended.some((run) => run.outcome === "changed")) {
        runs = runs.filter((run) => run.outcome === "changed");
        stuck.clear();
      }
      runs.push(...ended);
      continue;
    }
    const report = await takeBack(desk, last.script, signal);
    if (report.outcome === "changed") {
      runs = runs.filter((run) => run.outcome === "changed");
      stuck.clear();
    } else stuck.add(last.script);
    runs.push(report);
  }
  const failed = runs.find((run) => EXIT[run.outcome] !== 0);
  const outcome: Outcome = signal.aborted
    ? "interrupted"
    : (failed?.outcome ?? (runs.length > 0 ? "changed" : "converged"));
  const cleared =
    EXIT[outcome] === 0 && only === undefined && runs.length > 0 ? clearAway(desk, forget) : [];
  const { paint } = layout(false);
  const record =
    forget || only !== undefined
      ? []
      : [
          paint(
            "taupe",
            `  The record of what was done stays in ${printable(inHome.journal(place.home, place.host))} and history_main.log; --forget removes it too`,
          ),
        ];
  return {
    exit: EXIT[outcome],
    json: asJson({ schema: 1, host: place.host, outcome, runs, removed: cleared }),
    lines: [
      ...runs.map((run) => paint(EXIT[run.outcome] === 0 ? "sage" : "rust", runLine(run))),
      ...runs
        .flatMap((run) => (EXIT[run.outcome] === 0 ? (run.left ?? []) : []))
        .map((one) => paint("rust", `  still there: ${printable(one)}`)),
      ...warningLines(runs, want["verbose"] === true),
      ...cleared.map((path) => paint("steel", `  removed ${printable(path)}`)),
      ...(EXIT[outcome] === 0 ? record : []),
      runs.length === 0
        ? "There was no applied run to take back"
        : paint(
            EXIT[outcome] === 0 ? "accent_gold" : "rust",
            EXIT[outcome] === 0 ? "All runs are taken back" : "Not all runs could be taken back",
          ),
    ],
  };
}

/** Nothing is taken from under a script or an engine that runs. */
function atWork({ machine, place, probe }: Desk): Spoken | undefined {
  const names = probe
    .list(inHome.locks(place.home))
    .flatMap((name) => /^(\d\d_\w+|serve)\.lock$/.exec(name)?.[1] ?? []);
  for (const name of names) {
    const holder = lockHolder(probe, { real: (path) => machine.root + path }, name);
    if (!holder || isGone(probe, holder)) continue;
    const { pid, since } = holder;
    return {
      exit: EXIT.locked,
      json: asJson({ schema: 1, host: place.host, outcome: "locked", running: name, pid, since }),
      lines: [`${name} is running: process ${pid}, since ${printable(since)}. Stop it first`],
    };
  }
  return undefined;
}

/**
 * What the engine room keeps for itself and no run's undo names: builds, models by hash, measurements, work in progress. The programs' own releases
 * (runtime/bin) were there before the first run, and what was set aside as damaged is the operator's.
 */
function clearAway({ machine, place, probe }: Desk, forget: boolean): readonly string[] {
  const { home, host } = place;
  const act = createAct(machine, probe);
  const stays = new Set(["bin", "quarantine"]);
  const own = [
    inHome.status(home, host),
    ...probe
      .list(inHome.runtime(home))
      .filter((name) => !stays.has(name))
      .map((name) => inHome.runtime(home, name)),
    ...probe
      .list(inHome.store(home))
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((name) => inHome.store(home, name)),
    ...(forget
      ? [inHome.journal(home, host), join(home, "logs", "memory", host), inHome.history(home)]
      : []),
    ...leftByKilledRuns(probe),
  ];
  const removed = own.filter((path) => probe.stat(path) !== undefined);
  for (const path of removed) act.remove(path);
  const emptied = [
    ...["status", "runtime/quarantine", "runtime", "models/sha256", "models"],
    ...(forget ? ["logs/memory", "logs/journal", "logs"] : []),
    "",
  ];
  for (const path of emptied.map((name) => join(home, name))) {
    if (probe.stat(path)?.kind === "dir" && act.removeIfEmpty(path)) removed.push(path);
  }
  return removed;
}

/** Half-written files of ours, by their names: a run that was killed amid a write leaves one that no undo names. */
function leftByKilledRuns(probe: Probe): readonly string[] {
  return probe
    .tree(probe.home, ({ path }) => NOT_OURS.has(basename(path)))
    .map(({ path }) => path)
    .filter((path) => basename(path).startsWith(TEMPORARY_PREFIX));
}
const NOT_OURS = new Set([".git", "node_modules"]);
