/** What the watcher costs: its processor time and memory over ten minutes of watching a gateway, an engine and a paired host. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { plainEnvironment } from "../support/program.ts";
import { watchedHome } from "../support/watched_home.ts";
import type { Measured } from "./figure.ts";
import { BIN, withFolder } from "./ways.ts";

const MINUTE = 60_000;
const MB = 1_000_000;
/** USER_HZ, proc(5). */
const TICKS = Number(Bun.spawnSync(["getconf", "CLK_TCK"]).stdout.toString()) || 100;

/** Ten minutes; half a minute of them with `quick`, where starting weighs more. */
export function figures(quick: boolean): Promise<readonly Measured[]> {
  return withFolder(async (folder) => {
    const watched = watchedHome(folder, join(folder, "home"));
    const program = join(BIN, "06_phantom_watchdog");
    const child = Bun.spawn([program, "run", "--home", watched.home], {
      env: plainEnvironment(folder),
      stdio: ["ignore", "ignore", "ignore"],
    });
    try {
      await until(() => watched.asked.status >= 2);
      const before = costOf(child.pid);
      const lasts = quick ? MINUTE / 2 : 10 * MINUTE;
      let most = 0;
      for (const end = before.at + lasts; performance.now() < end; await Bun.sleep(1000)) {
        most = Math.max(most, memoryOf(child.pid));
      }
      const after = costOf(child.pid);
      const looks = watched.asked.status;
      const span = `${Math.round((after.at - before.at) / 1000)} s, ${looks} looks`;
      return [
        {
          name: "watcher: processor time",
          unit: "% of a core",
          goal: { atMost: 1 },
          values: [((after.cpu - before.cpu) / (after.at - before.at)) * 100],
          how: `${span}, with the programs that it starts`,
        },
        {
          name: "watcher: memory",
          unit: "MB",
          goal: { atMost: 80 },
          values: [most / MB],
          how: `most resident memory of ${span}`,
        },
      ];
    } finally {
      child.kill("SIGTERM");
      await child.exited;
      watched.stop();
    }
  });
}

/** Processor time of a process and of those that it started and that have ended, in milliseconds: fields 14 to 17 of its stat. */
function costOf(pid: number): { readonly at: number; readonly cpu: number } {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const ticks = [11, 12, 13, 14].map((at) => Number(fields[at])).reduce((a, b) => a + b, 0);
  return { at: performance.now(), cpu: (ticks / TICKS) * 1000 };
}

function memoryOf(pid: number): number {
  return (
    Number(/^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024
  );
}

async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await Bun.sleep(50)) {
    if (performance.now() > end) throw new Error("the watcher looks at nothing");
  }
}
