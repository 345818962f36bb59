/** What arrives goes to the disk while more arrives, so that a commit, which waits for all of it, has little left to wait for. */
import { ShelterError } from "../../errors.ts";
import type { Act } from "../../machine/act.ts";
import { pause } from "../../machine/pause.ts";

/** Milliseconds from one flush to the next. A kernel left alone writes nothing for half a minute (dirty_expire_centisecs). */
const PAUSE = 2000;

/** Returns when all that was written to the file system of `folder` is on its disk: one flush, not one per file. */
export async function flush(act: Pick<Act, "run" | "real">, folder: string): Promise<void> {
  const ran = await act.run(["sync", "--file-system", act.real(folder)], { timeout: 0 });
  if (ran.code !== 0) {
    throw new ShelterError("not-flushed", `flushing ${folder}`, ran.stderr.trim() || `${ran.code}`);
  }
}

/** Flushes the file system of `folder` again and again for as long as `work` lasts, and gives what it gave. */
export async function flushWhile<T>(
  act: Pick<Act, "run" | "real">,
  folder: string,
  work: Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const ended = work.finally(() => over.abort());
  ended.catch(() => undefined);
  while (!over.signal.aborted) {
    // a pause that nobody ends would keep this process, and with it the sender, for its rest
    await pause(PAUSE, over.signal);
    if (over.signal.aborted) break;
    // a disk that can't be flushed is told of by the commit, which flushes last
    const flushed = flush(act, folder).catch(() => undefined);
    await Promise.race([flushed, ended]).catch(() => undefined);
  }
  return ended;
}
