/** How a run talks to the person while it works: lines and a progress bar on stderr, a model's words on stdout. */
import type { Say } from "../unit.ts";
import { painter, wantsColour } from "./palette.ts";
import { progressBar } from "./progress.ts";
import { printable, printableLines } from "./text.ts";

/** How much to say. */
export interface VoiceOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A voice that can take its progress bar off the screen. */
export interface Voice extends Say {
  clear(): void;
}

/** A voice on this process's own stderr and stdout. */
export async function createVoice(options: VoiceOptions): Promise<Voice> {
  const { createConsola } = await import("consola/core");
  const paint = painter(wantsColour(process.stderr.isTTY, options.env));
  const write = (text: string) => void process.stderr.write(text);
  const bar = progressBar({
    isTerminal: process.stderr.isTTY,
    columns: () => (process.stderr.columns > 0 ? process.stderr.columns : 80),
    write,
    paint,
    now: () => performance.now(),
  });
  const log = createConsola({
    level: options.verbose ? 4 : 3,
    throttle: 0, // repeated lines are said as often as they happen
    reporters: [
      {
        log: ({ type, args }) => {
          bar.clear();
          const text = args.map((one) => printable(String(one))).join(" ");
          write(`${paint(type === "debug" ? "slate" : "steel", text)}\n`);
        },
      },
    ],
  });
  return {
    line: (text) => log.info(text),
    detail: (record) => {
      if (options.verbose) log.debug(JSON.stringify(record));
    },
    progress: (...one) => bar.draw(...one),
    clear: () => bar.clear(),
    stream: (text) => {
      bar.clear();
      const out = options.json ? process.stderr : process.stdout;
      out.write(printableLines(text));
    },
  };
}
