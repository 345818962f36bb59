/** Several runs as one report. */
import { layout } from "../cli.ts";
import { EXIT } from "../errors.ts";
import { errorLines, ranked, unaskedLines } from "../report/human.ts";
import { duration, printable } from "../report/text.ts";
import type { Finding, RunReport } from "../unit.ts";

/** What nobody asked, of all runs together: each once, the gravest first. */
export function unaskedOf(runs: readonly RunReport[]): readonly Finding[] {
  const seen = new Map<string, Finding>();
  for (const one of runs.flatMap((run) => run.unasked)) {
    const key = `${one.id} ${one.what}`;
    if (!seen.has(key)) seen.set(key, one);
  }
  return ranked([...seen.values()]);
}

/** One line of a run: how it ended, and how long it took. */
export function runLine(run: RunReport): string {
  const mark = EXIT[run.outcome] === 0 ? "✓" : "✗";
  const steps = run.steps.length === 1 ? "1 step" : `${run.steps.length} steps`;
  const words =
    run.outcome === "converged"
      ? "already as it should be"
      : run.outcome === "changed"
        ? `${run.undoes === undefined ? "done" : "taken back"}, ${steps}`
        : run.outcome;
  return `  ${mark} ${run.script.padEnd(20)} ${words}, ${duration(run.took_ms)}`;
}

/** What of a run's findings the operator has to know: failures first. */
export function warningLines(runs: readonly RunReport[], verbose: boolean): readonly string[] {
  const view = layout(verbose);
  const lines: string[] = [];
  for (const run of runs) {
    const found = ranked(run.findings).filter(
      (one) => one.level === "warn" || one.level === "fail",
    );
    const told = run.error;
    const own = found.filter((one) => one.id !== told?.id);
    if (!told && own.length === 0) continue;
    lines.push(view.paint("dark_gold", `  ${run.script}`));
    if (told) lines.push(...errorLines(told, view));
    for (const one of own) {
      lines.push(
        view.paint(
          one.level === "fail" ? "rust" : "copper",
          `  ${one.level === "fail" ? "✗" : "!"} ${printable(one.what)}: ${printable(one.why)}`,
        ),
      );
      if (one.fix) lines.push(view.paint("gold", `    ${printable(one.fix.join(" "))}`));
    }
    for (const path of run.left ?? [])
      lines.push(view.paint("rust", `  still there: ${printable(path)}`));
  }
  return lines;
}

/** The last section of what several runs say. */
export function unaskedTogether(
  runs: readonly RunReport[],
  more: readonly Finding[],
  verbose: boolean,
): readonly string[] {
  return unaskedLines(ranked([...unaskedOf(runs), ...more]), layout(verbose));
}
