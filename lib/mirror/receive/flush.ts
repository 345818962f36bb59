/** What arrives goes to the disk while more arrives, so that a commit, which waits for all of it, has little left to wait for. */
import { ShelterError } from "../../errors.ts";
import type { Act } from "../../machine/act.ts";

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
  const ended = work.then(
    () => true,
    () => true,
  );
  const endedAmid = (other: Promise<unknown>) => Promise.race([ended, other.then(() => false)]);
  while (!(await endedAmid(Bun.sleep(PAUSE)))) {
    // a disk that can't be flushed is told of by the commit, which flushes last
    if (await endedAmid(flush(act, folder).catch(() => undefined))) break;
  }
  return work;
}
