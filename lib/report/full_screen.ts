/** The whole terminal for a picture that is drawn again and again, and the terminal as it was when that is over. */

/** A taken terminal. */
export interface FullScreen {
  /** Cells of a line now. */
  readonly columns: number;
  /** Fires when the person or `signal` ends it. */
  readonly over: AbortSignal;
  /** Draws these lines from the top, as many as there is room for, and `foot` in the last row. */
  draw(lines: readonly string[], foot: string): void;
  /** Resolves with `pause`, or sooner where the terminal's size changed. */
  changed(pause: Promise<void>): Promise<void>;
  /** Gives it back. Can be called again. */
  leave(): void;
}

/** xterm's alternate screen and hidden cursor (ctlseqs: DECSET 1049, DECTCEM 25), which every terminal of today knows. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
/** Keys that end it: Ctrl-C, Ctrl-D, q, Q and Escape alone. */
const ENDING: ReadonlySet<string> = new Set(["\u0003", "\u0004", "q", "Q", "\u001b"]);

/** Takes the terminal of this process; keys are not echoed while it is taken. */
export function takeScreen(signal: AbortSignal): FullScreen {
  const { stdin, stdout } = process;
  const ending = new AbortController();
  const end = () => ending.abort();
  const onKey = (bytes: Buffer) => {
    if (ENDING.has(bytes.toString())) end();
  };
  let taken = true;
  const leave = () => {
    if (!taken) return;
    taken = false;
    stdin.off("data", onKey);
    stdin.setRawMode(false);
    stdin.pause();
    stdout.write(LEAVE);
    process.off("exit", leave);
  };
  // whatever ends this process, the person's shell must be usable after it
  process.on("exit", leave);
  if (signal.aborted) end();
  else signal.addEventListener("abort", end, { once: true });
  stdin.setRawMode(true);
  stdin.on("data", onKey);
  stdin.resume();
  stdout.write(ENTER);
  return {
    get columns() {
      return Math.max(20, stdout.columns || 80);
    },
    over: ending.signal,
    draw(lines, foot) {
      const rows = Math.max(2, stdout.rows || 24);
      const shown = lines.slice(0, rows - 1);
      const text = shown.map((line) => `${line}\u001b[K\r\n`).join("");
      stdout.write(`\u001b[H${text}\u001b[J\u001b[${rows};1H${foot}\u001b[K`);
    },
    async changed(pause) {
      let resized = () => undefined as void;
      const size = new Promise<void>((resolve) => {
        resized = resolve;
      });
      stdout.once("resize", resized);
      await Promise.race([pause, size]);
      stdout.off("resize", resized);
    },
    leave,
  };
}
