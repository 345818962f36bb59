/** history_main.log: the human-readable, chronological line of each run; derived from the journal, rebuilt where it is missing. */
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { inHome } from "./home.ts";
import { readJournal, type End } from "./journal.ts";

/** Adds the line of one ended run, or writes the whole file anew where it is missing. */
export function noteInHistory(probe: Probe, act: Act, end: End): void {
  const path = inHome.history(probe.home);
  if (probe.stat(path)) act.appendText(path, `${historyLine(end)}\n`);
  else act.write(path, rebuiltHistory(probe));
}

/** The whole history, from the journal. */
export function rebuiltHistory(probe: Probe): string {
  return readJournal(probe)
    .filter((one): one is End => one.kind === "end")
    .map((end) => `${historyLine(end)}\n`)
    .join("");
}

function historyLine(end: End): string {
  const because = end.because === undefined ? "" : ` because ${end.because}: ${end.why ?? ""}`;
  const steps = end.steps === 1 ? "1 step" : `${end.steps} steps`;
  return `${end.at} ${end.script} ${end.outcome}, ${steps}, ${(end.took_ms / 1000).toFixed(1)} s${because}`.replaceAll(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, // people read this file on a terminal
    " ",
  );
}
