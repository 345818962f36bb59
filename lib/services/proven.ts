/** Whether the release that serves has shown that it can: only such a one is kept as the way back from the next. */
import { processStart } from "../keep/lock.ts";
import type { Probe } from "../machine/probe.ts";
import { WELL } from "../watch/backoff.ts";
import { isWhole } from "./live.ts";
import { GATEWAY_UNIT, WATCH_UNIT } from "./places.ts";

/** Ticks in a second, of the times in a process's stat: USER_HZ is 100 on every machine that we build for (time(7)). */
const TICKS = 100;

/**
 * The release that serves, where `wanted` is to take its place and its gateway and watcher have said that they are ready. One that dies again and again is
 * ready most of the time: it takes the place of `before`, a whole release that was proven earlier, only after ten minutes without a new start.
 */
export async function provenRelease(
  probe: Probe,
  serving: string | undefined,
  wanted: string | undefined,
  before: string | undefined,
): Promise<string | undefined> {
  if (serving === undefined || serving === wanted) return undefined;
  let well = true;
  for (const unit of [GATEWAY_UNIT, WATCH_UNIT]) {
    const argv = ["systemctl", "show", "--property=ActiveState,MainPID", "--", unit];
    const { stdout } = await probe.run(argv);
    if (!/^ActiveState=active$/m.test(stdout)) return undefined;
    well &&= ranFor(probe, Number(/^MainPID=(\d+)$/m.exec(stdout)?.[1])) >= WELL;
  }
  if (!(await isWhole(probe, serving))) return undefined;
  if (well || before === undefined || before === wanted) return serving;
  return (await isWhole(probe, before)) ? undefined : serving;
}

/** Milliseconds since a process started; NaN where nobody tells. By boot's clock on both sides: systemd's own times stand still while the host sleeps. */
function ranFor(probe: Probe, pid: number): number {
  const uptime = Number.parseFloat(probe.text("/proc/uptime") ?? "");
  return (uptime - Number(processStart(probe, pid)) / TICKS) * 1000;
}
