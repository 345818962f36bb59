/** The kernel's own clocks, which nobody sets: how long the host has been up, and how much of that it slept. */
import { openLibc } from "./libc.ts";

/** Both in milliseconds since boot. `asleep` is what the host spent suspended. */
export interface Uptime {
  readonly uptime: number;
  readonly asleep: number;
}

/** clock_gettime(2) on Linux: MONOTONIC stands still during a suspend, BOOTTIME does not. */
const [CLOCK_MONOTONIC, CLOCK_BOOTTIME] = [1, 7];

/** A reader of these clocks. Bun's own (`performance.now`, `Bun.nanoseconds`) count from the process's start and do not say which of the two they are. */
export async function createUptime(): Promise<() => Uptime> {
  const { ptr } = await import("bun:ffi");
  const libc = await openLibc({
    clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  } as const);
  const time = new BigInt64Array(2); // struct timespec on 64-bit Linux
  const place = ptr(time);
  const read = (clock: number) => {
    libc.clock_gettime(clock, place);
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  };
  return () => {
    const awake = read(CLOCK_MONOTONIC);
    const uptime = read(CLOCK_BOOTTIME);
    // between the two readings some time passes
    const asleep = uptime - awake;
    return { uptime, asleep: asleep < 10 ? 0 : asleep };
  };
}
