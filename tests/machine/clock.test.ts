/** The kernel's clocks, as they are read. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createUptime } from "../../lib/machine/clock.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";

test("uptime is the kernel's own, and grows by the time that passes", async () => {
  const clock = await createUptime();
  const told = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const first = clock();
  expect(Math.abs(first.uptime - told)).toBeLessThan(1000);
  await Bun.sleep(50);
  const passed = clock().uptime - first.uptime;
  expect(passed).toBeGreaterThanOrEqual(45);
  expect(passed).toBeLessThan(5000);
});

const noTimeNamespace =
  needsRoot ??
  (Bun.spawnSync(["unshare", "--time", "--fork", "true"]).success
    ? undefined
    : "this kernel has no time namespaces");

testUnless(noTimeNamespace)("what was slept is uptime in which nothing ran", async () => {
  const module = join(import.meta.dir, "../../lib/machine/clock.ts");
  const source = `import { createUptime } from ${JSON.stringify(module)}; console.log(JSON.stringify((await createUptime())()))`;
  const asleepBy = (seconds: number) => {
    const argv = ["unshare", "--time", "--boottime", String(seconds), "--fork"];
    const ran = Bun.spawnSync([...argv, process.execPath, "-e", source]);
    return JSON.parse(ran.stdout.toString()) as { uptime: number; asleep: number };
  };
  const [none, hour] = [asleepBy(0), asleepBy(3600)];
  expect(Math.abs(hour.asleep - none.asleep - 3_600_000)).toBeLessThan(100);
  expect(hour.uptime - none.uptime).toBeGreaterThan(3_600_000 - 100);
});
