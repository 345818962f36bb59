/** Measuring programs: wall time and peak memory of alternating runs, in homes of the benchmark's own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { plainEnvironment } from "../support/program.ts";

export const REPOSITORY = resolve(import.meta.dir, "../..");
/** The compiled binaries. */
export const BIN = process.env["SHELTER_TEST_BIN"] ?? join(REPOSITORY, "bin");

/** What one run of a program cost. */
export interface Cost {
  /** Milliseconds from start to end. */
  readonly ms: number;
  /** Most memory that it, or one child that it waited for, ever held. */
  readonly peakBytes: number;
  readonly code: number;
}

/** Runs a program once, its output thrown away. Peak memory is the kernel's own figure (wait4, ru_maxrss). */
export async function costOf(argv: readonly string[], folder: string): Promise<Cost> {
  const began = Bun.nanoseconds();
  const child = Bun.spawn([...argv], {
    cwd: folder,
    env: plainEnvironment(folder),
    stdio: ["ignore", "ignore", "ignore"],
  });
  const code = await child.exited;
  const ms = (Bun.nanoseconds() - began) / 1e6;
  return { ms, code, peakBytes: child.resourceUsage()?.maxRSS ?? 0 };
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
