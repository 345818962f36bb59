/** Starting other programs: from argument arrays only, with a scrubbed environment, and never left behind. */
import { spawn as nodeSpawn } from "node:child_process";
import { closeSync, existsSync, openSync, readSync } from "node:fs";

/** A file that a program reads as its standard input, from the byte `from` on. */
export interface InputFile {
  readonly path: string;
  readonly from: number;
  /** The file as `collect` opened it, its next byte the one at `from`. */
  readonly opened?: number;
}

/** How to start a program. */
export interface SpawnOptions {
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  /** Text for its standard input; it gets none when left out. */
  readonly input?: string;
  /** A file for its standard input, from a byte on; a real path. */
  readonly inputFile?: InputFile;
  /** Its standard input stays open after `input`, for `Child.tell`. */
  readonly keepInput?: boolean;
  /** Gives it the person's terminal, e.g. for sudo's password. Its output is then not read. */
  readonly terminal?: boolean;
}

/** A started program. */
export interface Child {
  readonly pid: number;
  /** Sends a signal to the program and all that it started; to one that is gone, or that is not ours to signal, nothing. */
  kill(signal: NodeJS.Signals): void;
  /** Writes to its standard input, where that was kept open; does nothing once it has ended. */
  tell(text: string): void;
  onOutput(listener: (stream: "stdout" | "stderr", chunk: Uint8Array) => void): void;
  /** Resolves when it has ended and all its output was handed over. `error` is set when it could not be started. */
  readonly ended: Promise<Ended>;
}
/** How a program ended: `code` or `signal`, or why it never began. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}
/** Starts a program from its argument list. */
export type Spawn = (argv: readonly string[], options: SpawnOptions) => Child;

/** What a finished program said. `code` is 127 when it could not be started, and 128 + n after signal n. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

const living = new Set<Child>();

/** Ends every program that is still running because of us: called when we end, however that is. */
export function killAllChildren(signal: NodeJS.Signals): void {
  for (const child of living) child.kill(signal);
}

/** Whether a process has this number; one that we may not signal has it too (kill(2), EPERM). */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Kills one process, if it is still there. */
export function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

const SETPRIV = "/usr/bin/setpriv";

/** Starts a program in a process group of its own; the kernel ends it if we are killed (setpriv, util-linux). */
export const spawnProcess: Spawn = (argv, options) => {
  const tied =
    !options.terminal && existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "KILL", ...argv] : argv;
  const [file = "", ...args] = tied;
  const started = nodeSpawn(file, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...options.env },
    detached: !options.terminal,
    stdio: options.terminal
      ? "inherit"
      : [options.inputFile?.opened ?? inputOf(options), "pipe", "pipe"],
  });
  const listeners: ((stream: "stdout" | "stderr", chunk: Uint8Array) => void)[] = [];
  const hand = (stream: "stdout" | "stderr") => (chunk: Uint8Array) => {
    for (const listener of listeners) listener(stream, chunk);
  };
  started.stdout?.on("data", hand("stdout"));
  started.stderr?.on("data", hand("stderr"));
  started.stdin?.on("error", () => undefined); // it may end without reading its input; `ended` tells how
  if (options.input !== undefined) started.stdin?.write(options.input);
  if (!options.keepInput) started.stdin?.end();
  const child: Child = {
    pid: started.pid ?? 0,
    kill(signal) {
      if (started.pid === undefined) return;
      try {
        process.kill(options.terminal ? started.pid : -started.pid, signal);
      } catch (error) {
        // gone, or root's (sudo): called where a signal is heard or at our own exit, and what that throws would end us amid a run
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "ESRCH" && code !== "EPERM") throw error;
      }
    },
    tell: (text) => void (started.stdin?.writable && started.stdin.write(text)),
    onOutput: (listener) => void listeners.push(listener),
    ended: new Promise((resolve) => {
      started.on("error", (error) => resolve({ code: null, signal: null, error }));
      started.on("close", (code, signal) => resolve({ code, signal }));
    }),
  };
  living.add(child);
  void child.ended.then(() => living.delete(child));
  return child;
};

function inputOf({ input, keepInput }: SpawnOptions): "ignore" | "pipe" {
  return input === undefined && !keepInput ? "ignore" : "pipe";
}

/** A file whose next byte to be read is the one at `from`: Node knows no seek, and who inherits it goes on from where we stopped reading. */
async function openedAt({ path, from }: InputFile, signal?: AbortSignal): Promise<number> {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(from, 8 * 1024 * 1024));
    for (let at = 0; at < from;) {
      const read = readSync(file, buffer, 0, Math.min(buffer.length, from - at), null);
      if (read === 0 || signal?.aborted === true) break;
      at += read;
      // a Ctrl-C amid tens of gigabytes is heard
      await new Promise((resolve) => setImmediate(resolve));
    }
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Limits of one finished run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly inputFile?: InputFile;
  /** Milliseconds, after which it is killed. One minute when left out; 0 for none. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly terminal?: boolean;
  /** Told the process id, which is its session's and group's too, once it was started. */
  readonly onStart?: (pid: number) => void;
  /** Called with each whole line as it comes; of one that is longer than `LINE`, with its end. What it throws ends the program and is thrown. */
  readonly onLine?: (line: string, stream: "stdout" | "stderr") => void;
  /** Keep at most this many characters of each stream, from its end. 16 Mi when left out. */
  readonly keep?: number;
}

/** Characters of a line that are kept while it has not ended: a program that ends none must not fill the memory. */
const LINE = 64 * 1024;

/** Runs a program to its end and collects what it said. Never throws for a failing program: look at `code`. */
export async function collect(
  spawn: Spawn,
  argv: readonly string[],
  options: RunOptions & { readonly env: Readonly<Record<string, string>> },
): Promise<Ran> {
  const file = options.inputFile;
  const opened = file && (await openedAt(file, options.signal));
  const child = spawn(
    argv,
    file && opened !== undefined ? { ...options, inputFile: { ...file, opened } } : options,
  );
  if (opened !== undefined) closeSync(opened);
  if (child.pid > 0) options.onStart?.(child.pid);
  const keep = options.keep ?? 16 * 1024 * 1024;
  const text = { stdout: "", stderr: "" };
  const rest = { stdout: "", stderr: "" };
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  // thrown within the listener it would stop the reading, and the program's end would never be seen
  let broken: { readonly error: unknown } | undefined;
  const hear = (line: string, stream: "stdout" | "stderr") => {
    if (broken) return;
    try {
      options.onLine?.(line, stream);
    } catch (error) {
      broken = { error };
      child.kill("SIGKILL");
    }
  };
  child.onOutput((stream, chunk) => {
    const more = decoders[stream].decode(chunk, { stream: true });
    text[stream] = (text[stream] + more).slice(-keep);
    if (!options.onLine || broken) return;
    const lines = (rest[stream] + more).split(/\r?\n|\r/);
    rest[stream] = (lines.pop() ?? "").slice(-LINE);
    for (const line of lines) hear(line, stream);
  });
  let timedOut = false;
  const stop = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 2000).unref();
  };
  const limit = options.timeout ?? 60_000;
  const timer =
    limit > 0
      ? setTimeout(() => {
          timedOut = true;
          stop();
        }, limit)
      : undefined;
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted) stop();
  const ended = await child.ended;
  clearTimeout(timer);
  options.signal?.removeEventListener("abort", stop);
  for (const stream of ["stdout", "stderr"] as const) {
    if (rest[stream]) hear(rest[stream], stream);
  }
  if (broken) throw broken.error;
  return {
    code: ended.code ?? (ended.error ? 127 : 128 + signalNumber(ended.signal)),
    stdout: text.stdout,
    stderr: ended.error ? ended.error.message : text.stderr,
    timedOut,
  };
}

/** signal(7), the numbers on x86-64 and ARM. */
function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGQUIT: 3,
    SIGILL: 4,
    SIGABRT: 6,
    SIGBUS: 7,
    SIGFPE: 8,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGPIPE: 13,
    SIGTERM: 15,
  };
  return (signal && numbers[signal]) ?? 0;
}
