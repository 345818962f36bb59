/** A file's bytes from a program's output, e.g. another host's over ssh: appended to what is there, and never more than is wanted. */
import { closeSync, openSync, writeSync } from "node:fs";
import { ShelterError } from "../errors.ts";
import type { Act } from "./act.ts";

/** What to take, and from where. */
export interface Taking {
  readonly argv: readonly string[];
  /** Where the bytes are appended; a real path. */
  readonly to: string;
  /** How many may come. */
  readonly limit: number;
  /** What it is, for an error. */
  readonly what: string;
  readonly signal: AbortSignal;
  /** Told the bytes that have come. */
  readonly onBytes: (came: number) => void;
  /** Milliseconds of silence after which it is given up. */
  readonly patience?: number;
}

const PATIENCE = 60_000;
/** Characters of its last words that are kept. */
const LAST_WORDS = 2000;

/** Runs the program to its end. @throws ShelterError "source-failed" with its last words, "source-endless", "source-silent", "disk-full"; or the signal's reason. */
export async function takeOutput(act: Pick<Act, "start">, taking: Taking): Promise<void> {
  const { argv, to, limit, what, signal, onBytes, patience = PATIENCE } = taking;
  const handle = openSync(to, "a", 0o600);
  const child = act.start(argv);
  let came = 0;
  let words = "";
  let failure: ShelterError | undefined;
  const give = (why: ShelterError) => {
    failure ??= why;
    child.kill("SIGKILL");
  };
  const silent = () =>
    give(new ShelterError("source-silent", what, `nothing came for ${patience / 1000} s`));
  let timer = setTimeout(silent, patience);
  child.onOutput((stream, chunk) => {
    if (failure) return;
    if (stream === "stderr") {
      words = (words + new TextDecoder().decode(chunk)).slice(-LAST_WORDS);
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(silent, patience);
    came += chunk.byteLength;
    if (came > limit) {
      return give(new ShelterError("source-endless", what, `it sends more than ${limit} bytes`));
    }
    try {
      // at once: what can't be written as fast as it comes must not pile up in memory
      for (let at = 0; at < chunk.byteLength;) at += writeSync(handle, chunk, at);
    } catch (error) {
      return give(unwritable(error, what));
    }
    onBytes(came);
  });
  const onAbort = () => child.kill("SIGTERM");
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const ended = await child.ended;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  closeSync(handle);
  signal.throwIfAborted();
  if (failure) throw failure;
  if (ended.code === 0) return;
  const last = words.trim().split("\n").slice(-2).join(" ");
  const why = ended.error?.message ?? (last === "" ? `it ended with ${ended.code}` : last);
  throw new ShelterError("source-failed", what, why);
}

function unwritable(error: unknown, what: string): ShelterError {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT"
    ? new ShelterError("disk-full", what, "the disk is full", ["df", "-h"])
    : new ShelterError("source-failed", what, message);
}
