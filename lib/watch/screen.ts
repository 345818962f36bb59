/** `shelter watch` as lines of text: what each host's watcher knows, beside or below each other. Pure. */
import type { Colour, Paint } from "../report/palette.ts";
import { chop, commandLine, cut, duration, printable, width, wrap } from "../report/text.ts";
import { isStale, type Alert, type Standing, type WatchState } from "./state.ts";

/** One host on the screen. */
export interface HostView {
  readonly name: string;
  /** "here" is this host; "asked" one whose answer is still awaited. */
  readonly reach: "here" | "answers" | "gone" | "asked";
  /** When it last answered, ISO 8601. */
  readonly lastSeen?: string;
  /** Why it does not answer. */
  readonly why?: string;
  /** Its clock less ours, in milliseconds. */
  readonly clockOff?: number;
  readonly watch?: WatchState;
  /** What is seen without a watcher. */
  readonly seen?: readonly Alert[];
}

/** Where the lines go. */
export interface Sheet {
  readonly columns: number;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly paint: Paint;
}

/** Columns from which two hosts stand side by side. */
const SIDE_BY_SIDE = 78;
const GAP = 2;
/** Cells of a label. */
const LABEL = 9;

/** The whole picture. The verdict is its one accent. */
export function screen(views: readonly HostView[], sheet: Sheet): readonly string[] {
  const { columns, now, paint } = sheet;
  const rule = paint("dark_gold", "─".repeat(columns));
  const alerts = views.flatMap((view) => standing(view).map((alert) => ({ view, alert })));
  const clock = `${new Date(now).toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const grave = alerts.filter(({ alert }) => alert.level !== "info").length;
  const verdict = cut(verdictOf(views, grave, now), columns);
  const room = columns - width(verdict);
  const right = room > width(clock) + GAP ? " ".repeat(room - width(clock)) + clock : "";
  const beside = views.length > 1 && columns >= SIDE_BY_SIDE;
  const part = beside ? Math.floor((columns - GAP) / 2) : columns;
  const blocks = views.map((view) => blockOf(view, { ...sheet, columns: part }));
  return [
    paint("accent_gold", verdict) + paint("taupe", right),
    rule,
    ...(beside ? pairsOf(blocks, part) : blocks.flatMap((block) => [...block, ""]).slice(0, -1)),
    rule,
    ...alerts.flatMap(({ view, alert }) => alertLines(view, alert, sheet)),
  ];
}

function verdictOf(views: readonly HostView[], alerts: number, now: number): string {
  const unwell =
    views.find((view) => view.reach === "gone") ?? views.find((view) => !watchedNow(view, now));
  const words = [
    ...(unwell ? [howUnwell(unwell)] : []),
    ...(alerts === 0 ? [] : [alerts === 1 ? "1 alert" : `${alerts} alerts`]),
  ];
  return words.length === 0 ? "All is well" : words.join(", ");
}

function howUnwell({ name, reach }: HostView): string {
  if (reach === "asked") return `Waiting for ${printable(name)}`;
  return `${printable(name)} ${reach === "gone" ? "does not answer" : "is not watched"}`;
}

/** Whether a watcher runs there, by that host's own clock. */
function watchedNow({ watch, clockOff }: HostView, now: number): boolean {
  return watch !== undefined && watch.ended === undefined && !isStale(watch, now + (clockOff ?? 0));
}

/** Alerts that are still true as far as this host can know. */
function standing({ watch, reach, seen = [] }: HostView): readonly Alert[] {
  return reach === "gone" ? seen : [...seen, ...(watch?.alerts ?? [])];
}

function blockOf(view: HostView, sheet: Sheet): readonly string[] {
  const { paint, columns, now } = sheet;
  const { watch, reach } = view;
  const here = reach === "here" ? " (this host)" : "";
  const lines = [paint("gold", cut(`${printable(view.name)}${here}`, columns))];
  const add = (colour: Colour, mark: string, label: string, text: string) => {
    const told = cut(printable(text), Math.max(1, columns - 12));
    const named = cut(printable(label), LABEL);
    const room = " ".repeat(LABEL - width(named) + 1);
    lines.push(`${paint(colour, mark)} ${paint("steel", named)}${room}${paint(colour, told)}`);
  };
  if (reach === "gone") {
    const since = view.lastSeen === undefined ? "never heard" : `heard ${ago(now, view.lastSeen)}`;
    add("rust", "✗", "answers", `no, ${since}`);
    if (view.why !== undefined) add("copper", " ", "", view.why);
  }
  if (!watch) {
    add(
      "slate",
      "·",
      "watcher",
      reach === "asked" ? "waiting for its word" : "nothing known of it",
    );
    return lines;
  }
  const old = reach === "gone";
  const watches = watchedNow(view, now);
  const state = watch.ended === undefined ? "last looked" : "stopped";
  const mark = old ? "·" : watches ? "●" : "✗";
  const theirs = now + (view.clockOff ?? 0);
  const told = `${state} ${ago(theirs, watch.ended ?? watch.at)}`;
  add(old ? "slate" : watches ? "sage" : "rust", mark, "watcher", told);
  for (const target of ["engine", "gateway"] as const) {
    const { state: is, since, why, restarts } = watch[target];
    const [colour, sign] = old ? (["slate", "·"] as const) : STANDING[is];
    const acts = restarts > 0 ? `, acted on ${restarts === 1 ? "once" : `${restarts} times`}` : "";
    const cause = why === undefined ? "" : `: ${why}`;
    add(colour, sign, target, `${is} since ${since.slice(11, 16)}${acts}${cause}`);
  }
  for (const { id, level, what } of watch.health) {
    const [colour, sign] = old ? (["slate", "·"] as const) : LEVEL[level];
    add(colour, sign, id, what);
  }
  for (const { id, why } of watch.halted) add("rust", "✗", "given up", `${id}: ${why}`);
  return lines;
}

const STANDING: Readonly<Record<Standing, readonly [Colour, string]>> = {
  up: ["sage", "●"],
  starting: ["steel", "○"],
  down: ["rust", "✗"],
  stopped: ["taupe", "○"],
  absent: ["slate", "·"],
  unknown: ["slate", "·"],
};
const LEVEL: Readonly<Record<WatchState["health"][number]["level"], readonly [Colour, string]>> = {
  ok: ["sage", "●"],
  info: ["steel", "○"],
  warn: ["copper", "▲"],
  fail: ["rust", "✗"],
  unknown: ["slate", "·"],
};

function alertLines(
  view: HostView,
  alert: Alert,
  { columns, paint, now }: Sheet,
): readonly string[] {
  const [colour, sign] = LEVEL[alert.level];
  const since = ago(now + (view.clockOff ?? 0), alert.since);
  const text = `${printable(view.name)}: ${printable(alert.what)} (since ${since})`;
  const [first = "", ...rest] = wrap(text, columns - 2).flatMap((line) => chop(line, columns - 2));
  return [
    `${paint(colour, sign)} ${paint(colour, first)}`,
    ...rest.map((line) => `  ${paint(colour, line)}`),
    ...(alert.fix
      ? [`  ${paint("gold", cut(printable(commandLine(alert.fix)), columns - 2))}`]
      : []),
  ];
}

function pairsOf(blocks: readonly (readonly string[])[], part: number): readonly string[] {
  const lines: string[] = [];
  for (let at = 0; at < blocks.length; at += 2) {
    const [left = [], right = []] = blocks.slice(at, at + 2);
    if (at > 0) lines.push("");
    for (let row = 0; row < Math.max(left.length, right.length); row++) {
      const cell = left[row] ?? "";
      const pad = " ".repeat(Math.max(0, part - width(Bun.stripANSI(cell))) + GAP);
      lines.push(`${cell}${pad}${right[row] ?? ""}`.trimEnd());
    }
  }
  return lines;
}

function ago(now: number, iso: string): string {
  const ms = now - Date.parse(iso);
  return ms < 1000 ? "just now" : `${duration(ms)} ago`;
}
