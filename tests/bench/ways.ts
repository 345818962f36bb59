/** Measuring programs: wall time and peak memory of alternating runs, in homes of the benchmark's own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { plainEnvironment } from "../support/program.ts";

export const REPOSITORY = resolve(import.meta.dir, "../..");
/** The compiled binaries. */
export const BIN = process.env["SHELTER_TEST_BIN"] ?? join(REPOSITORY, "bin");

/**
 * Most memory that a program itself ever held, in bytes, by its own high-water mark in /proc, looked at every millisecond until it ends. The
 * kernel's ru_maxrss won't do: it starts with what its parent held, and counts compilers and engines that it waited for.
 */
export async function peakOf(argv: readonly string[], folder: string): Promise<number> {
  const child = Bun.spawn([...argv], {
    cwd: folder,
    env: plainEnvironment(folder),
    stdio: ["ignore", "ignore", "ignore"],
  });
  let peak = 0;
  for (; child.exitCode === null && child.signalCode === null; await Bun.sleep(1)) {
    peak = Math.max(peak, highWater(child.pid));
  }
  const code = await child.exited;
  if (code === 1) throw new Error(`${argv.join(" ")} ended with 1`);
  if (peak === 0) throw new Error(`${argv.join(" ")} ended before it could be looked at`);
  return peak;
}

function highWater(pid: number): number {
  try {
    const kib = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib ?? 0) * 1024;
  } catch {
    return 0; // it has ended
  }
}

/** Wall times in milliseconds of several commands, run in turn `rounds` times, so that all see the same machine. */
export function inTurn(
  commands: readonly (readonly string[])[],
  rounds: number,
  folder: string,
): readonly (readonly number[])[] {
  const times: number[][] = commands.map(() => []);
  for (let round = -1; round < rounds; round++) {
    for (const [index, argv] of commands.entries()) {
      const began = Bun.nanoseconds();
      const { exitCode } = Bun.spawnSync([...argv], {
        cwd: folder,
        env: plainEnvironment(folder),
        stdio: ["ignore", "ignore", "ignore"],
      });
      const ms = (Bun.nanoseconds() - began) / 1e6;
      if (exitCode !== 0 && exitCode !== 10)
        throw new Error(`${argv.join(" ")} ended with ${exitCode}`);
      if (round >= 0) times[index]?.push(ms); // the first round warms the page cache
    }
  }
  return times;
}

/** Runs `work` with a folder that is removed after it. */
export async function withFolder<T>(work: (folder: string) => Promise<T> | T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "shelter-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
