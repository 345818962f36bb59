/** The report of a run for a person: what was found, what was done, how it ended, and what nobody asked. */
import { EXIT } from "../errors.ts";
import type { Failure, Finding, Level, Outcome, RunReport } from "../unit.ts";
import { ROSTER } from "../roster.ts";
import type { Colour, Paint } from "./palette.ts";
import { commandLine, duration, printable, wrap } from "./text.ts";

const MARK: Readonly<Record<Level, readonly [string, Colour]>> = {
  ok: ["✓", "sage"],
  info: ["·", "steel"],
  warn: ["!", "copper"],
  fail: ["✗", "rust"],
  unknown: ["?", "taupe"],
};

/** What each outcome means, in the words of the last line. */
const MEANING: Readonly<Record<Outcome, string>> = {
  converged: "nothing to do: all is as it should be",
  planned: "changes are pending; nothing was changed",
  changed: "done",
  blocked: "blocked",
  locked: "already running",
  "rolled-back": "failed, and everything was taken back",
  broken: "failed, and not everything could be taken back",
  "below-baseline": "below the baseline",
  corrupt: "integrity failure",
  interrupted: "interrupted, and everything was taken back",
  absent: "not part of this build",
};

/** How to lay out. */
export interface Layout {
  readonly paint: Paint;
  readonly columns: number;
  /** Shows the "ok" findings too. */
  readonly verbose: boolean;
}

/** Steps shown to who did not ask for all: a repair of a whole clone has hundreds. */
const STEPS_SHOWN = 20;

/** The report as lines. */
export function humanReport(report: RunReport, layout: Layout): readonly string[] {
  const { paint } = layout;
  const lines: string[] = [heading(report.script, layout)];
  lines.push(...(report.picture ?? []).map((line) => paint("sage", printable(line))));
  const shown = report.findings.filter((one) => layout.verbose || one.level !== "ok");
  lines.push(...shown.flatMap((one) => findingLines(one, layout)));
  const pending = report.outcome === "planned" || report.outcome === "blocked";
  const steps = layout.verbose ? report.steps : report.steps.slice(0, STEPS_SHOWN);
  for (const step of steps) {
    lines.push(
      `${paint(step.done ? "sage" : "taupe", step.done ? "  ✓" : pending ? "  →" : "  ↶")} ${paint("steel", printable(step.text))}`,
    );
  }
  const unseen = report.steps.length - steps.length;
  if (unseen > 0) lines.push(paint("taupe", `    and ${unseen} more: --verbose shows all`));
  // a finding that ended the run was said above, with its fix
  const said = shown.some((one) => one.level === "fail" && one.id === report.error?.id);
  if (report.error && !said) lines.push(...errorLines(report.error, layout));
  for (const one of report.left ?? [])
    lines.push(paint("rust", `  still there: ${printable(one)}`));
  lines.push("", ...unaskedLines(report.unasked, layout), "", ending(report, layout));
  return lines;
}

/** A fix as it can be typed in the home: our own names stand in bin/. */
function fixLine(fix: readonly string[]): string {
  const at = fix[0] === "sudo" ? 1 : 0;
  const ours = ROSTER.some((row) => row.id === fix[at]);
  return commandLine(ours ? fix.with(at, `./bin/${fix[at]}`) : fix);
}

/** The standard last section of every report. */
export function unaskedLines(findings: readonly Finding[], layout: Layout): readonly string[] {
  const title = layout.paint("dark_gold", "What didn't I ask you?");
  if (findings.length === 0)
    return [title, layout.paint("taupe", "  Nothing beyond what is said above.")];
  return [title, ...ranked(findings).flatMap((one) => findingLines(one, layout))];
}

/** The gravest first. */
export function ranked(findings: readonly Finding[]): readonly Finding[] {
  const order: readonly Level[] = ["fail", "warn", "unknown", "info", "ok"];
  return [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

/** An error as lines: what failed, why, and the one command to try next. */
export function errorLines(error: Failure, layout: Layout): readonly string[] {
  const text = `${error.what}: ${error.why}`;
  const [first = "", ...rest] = wrap(printable(text), layout.columns - 4);
  const lines = [`${layout.paint("rust", "  ✗")} ${layout.paint("rust", first)}`];
  lines.push(...rest.map((line) => layout.paint("rust", `    ${line}`)));
  if (error.fix) lines.push(layout.paint("gold", `    ${printable(fixLine(error.fix))}`));
  return lines;
}

function findingLines(finding: Finding, layout: Layout): readonly string[] {
  const [mark, colour] = MARK[finding.level];
  const text = finding.level === "ok" ? finding.what : `${finding.what}: ${finding.why}`;
  const [first = "", ...rest] = wrap(printable(text), layout.columns - 4);
  const body: Colour = finding.level === "fail" || finding.level === "warn" ? colour : "sage";
  const lines = [`  ${layout.paint(colour, mark)} ${layout.paint(body, first)}`];
  lines.push(...rest.map((line) => layout.paint(body, `    ${line}`)));
  if (layout.verbose && finding.evidence)
    lines.push(layout.paint("taupe", `    seen in ${printable(finding.evidence)}`));
  if (finding.fix) lines.push(layout.paint("gold", `    ${printable(fixLine(finding.fix))}`));
  return lines;
}

function heading(title: string, layout: Layout): string {
  const rule = "─".repeat(Math.max(3, Math.min(layout.columns, 78) - title.length - 4));
  return layout.paint("dark_gold", `── ${title} ${rule}`);
}

/** Who took something back reads that it is gone, not that it is done. */
function meaningOf({ outcome, undoes }: RunReport): string {
  return outcome === "changed" && undoes !== undefined ? "taken back" : MEANING[outcome];
}

function ending(report: RunReport, layout: Layout): string {
  const good = EXIT[report.outcome] === 0 || report.outcome === "planned";
  const words = `${report.script} on ${printable(report.host)}: ${meaningOf(report)} (${duration(report.took_ms)})`;
  return layout.paint(
    good ? (report.outcome === "changed" ? "accent_gold" : "sage") : "rust",
    words,
  );
}
