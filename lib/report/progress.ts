/** One progress bar with rate and time left: redrawn in place on a terminal, a line now and then elsewhere. */
import type { Paint } from "./palette.ts";
import { bytes, duration, printable, width } from "./text.ts";

/** Where and how to draw. */
export interface Canvas {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  readonly write: (text: string) => void;
  readonly paint: Paint;
  readonly now: () => number;
}

/** A bar that can be moved and taken away. */
export interface ProgressBar {
  draw(label: string, done: number, total: number, unit: string): void;
  /** Takes the bar off the screen, so that a line can be written; the next `draw` brings it back. */
  clear(): void;
}

const REDRAW = 100;
const PLAIN_EVERY = 10_000;

/** A bar on `canvas`. */
export function progressBar(canvas: Canvas): ProgressBar {
  let label = "";
  let began = 0;
  let first = 0;
  let drawn = Number.NEGATIVE_INFINITY;
  let visible = false;
  return {
    draw: (name, done, total, unit) => {
      const now = canvas.now();
      const fresh = name !== label;
      if (fresh) [label, began, first, drawn] = [name, now, done, Number.NEGATIVE_INFINITY];
      const every = canvas.isTerminal ? REDRAW : PLAIN_EVERY;
      const finished = total > 0 && done >= total;
      if (!finished && now - drawn < every) return;
      if (finished && drawn === Number.POSITIVE_INFINITY) return;
      drawn = finished ? Number.POSITIVE_INFINITY : now;
      const text = barText(printable(name), done, total, unit, first, now - began);
      if (!canvas.isTerminal) {
        canvas.write(`${text}\n`);
        return;
      }
      canvas.write(`\r\u001b[2K${picture(text, done, total, canvas)}${finished ? "\n" : ""}`);
      visible = !finished;
    },
    clear: () => {
      if (visible) canvas.write("\r\u001b[2K");
      visible = false;
    },
  };
}

function barText(
  label: string,
  done: number,
  total: number,
  unit: string,
  first: number,
  ms: number,
): string {
  const amount = (value: number) => (unit === "B" ? bytes(value) : `${Math.round(value)}`);
  const rate = ms > 0 ? ((done - first) / ms) * 1000 : 0;
  const parts = [
    label,
    total > 0
      ? `${Math.floor((100 * done) / total)} %, ${amount(done)} of ${amount(total)}${unit === "B" ? "" : ` ${unit}`}`
      : `${amount(done)}${unit === "B" ? "" : ` ${unit}`}`,
  ];
  if (rate > 0 && unit === "B") parts.push(`${bytes(rate)}/s`);
  if (total > 0 && done < total && rate > 0)
    parts.push(`${duration(((total - done) / rate) * 1000)} left`);
  if (total > 0 && done >= total) parts.push(`in ${duration(ms)}`);
  return parts.join("  ");
}

function picture(text: string, done: number, total: number, canvas: Canvas): string {
  const room = Math.min(30, canvas.columns() - width(text) - 3);
  if (total <= 0 || room < 8) return canvas.paint("sage", text.slice(0, canvas.columns() - 1));
  const filled = Math.min(room, Math.floor((room * done) / total));
  const bar =
    canvas.paint("dark_gold", "━".repeat(filled)) +
    canvas.paint("slate", "━".repeat(room - filled));
  return `${bar} ${canvas.paint("sage", text)}`;
}
