/** What the machine does while it is measured: heat, clocks, throttling, power and who else takes processor time. Reads only. */
import { join } from "node:path";
import { parseNvidiaSmi } from "../../facts/gpu.ts";
import type { Probe } from "../../machine/probe.ts";
import { readPolicies } from "../governor.ts";
import type { Conditions } from "./results.ts";

const CPUS = "/sys/devices/system/cpu";
const RAPL = "/sys/class/powercap/intel-rapl:0";

/** Counters at one moment. Absent where this machine or this user can't read them. */
export interface Reading {
  readonly celsius?: number;
  /** Hz, mean over the policies. */
  readonly clock?: number;
  readonly throttled?: { readonly times: number; readonly ms?: number };
  /** Microjoules, counting up and starting again at `wraps`. */
  readonly energy?: { readonly microjoules: number; readonly wraps: number };
  /** Ticks of all processors since boot: all, and not idle. */
  readonly ticks?: { readonly all: number; readonly busy: number };
}

/** Reads all counters once. */
export function readSensors(probe: Pick<Probe, "list" | "text">): Reading {
  const celsius = hottest(probe);
  const clocks = readPolicies(probe).flatMap(({ clock }) => (clock === undefined ? [] : [clock]));
  const throttled = throttleCount(probe);
  const energy = number(probe.text(join(RAPL, "energy_uj")));
  const wraps = number(probe.text(join(RAPL, "max_energy_range_uj")));
  const ticks = parseTicks(probe.text("/proc/stat") ?? "");
  return {
    ...(celsius === undefined ? {} : { celsius }),
    ...(clocks.length === 0 ? {} : { clock: clocks.reduce((a, b) => a + b) / clocks.length }),
    ...(throttled ? { throttled } : {}),
    ...(energy === undefined || wraps === undefined
      ? {}
      : { energy: { microjoules: energy, wraps } }),
    ...(ticks ? { ticks } : {}),
  };
}

/** The processor's own sensor where there is one (coretemp, k10temp, zenpower), else the hottest thermal zone. */
function hottest(probe: Pick<Probe, "list" | "text">): number | undefined {
  const ofCpu: number[] = [];
  for (const name of probe.list("/sys/class/hwmon")) {
    const folder = join("/sys/class/hwmon", name);
    const driver = probe.text(join(folder, "name"))?.trim() ?? "";
    if (!["coretemp", "k10temp", "zenpower", "cpu_thermal"].includes(driver)) continue;
    for (const file of probe.list(folder)) {
      const milli = /^temp\d+_input$/.test(file)
        ? number(probe.text(join(folder, file)))
        : undefined;
      if (milli !== undefined) ofCpu.push(milli / 1000);
    }
  }
  if (ofCpu.length > 0) return Math.max(...ofCpu);
  const zones = probe
    .list("/sys/class/thermal")
    .filter((name) => name.startsWith("thermal_zone"))
    .flatMap((name) => {
      const milli = number(probe.text(join("/sys/class/thermal", name, "temp")));
      return milli === undefined ? [] : [milli / 1000];
    });
  return zones.length > 0 ? Math.max(...zones) : undefined;
}

/** Counts of the package where they are, of the cores otherwise: both count the same heat, so they are not added up. */
export function throttleCount(
  probe: Pick<Probe, "list" | "text">,
): { readonly times: number; readonly ms?: number } | undefined {
  const folders = probe
    .list(CPUS)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => join(CPUS, name, "thermal_throttle"));
  const most = (file: string) => {
    const counts = folders.flatMap((folder) => number(probe.text(join(folder, file))) ?? []);
    return counts.length > 0 ? Math.max(...counts) : undefined;
  };
  const packageTimes = most("package_throttle_count");
  const coreTimes = most("core_throttle_count");
  if (packageTimes === undefined && coreTimes === undefined) return undefined;
  const ms = most("package_throttle_total_time_ms") ?? most("core_throttle_total_time_ms");
  return {
    times: Math.max(packageTimes ?? 0, coreTimes ?? 0),
    ...(ms === undefined ? {} : { ms }),
  };
}

/** First line of /proc/stat (proc(5)): user nice system idle iowait irq softirq steal. Steal is time that we did not get, so it is busy. */
export function parseTicks(text: string): { all: number; busy: number } | undefined {
  const fields = /^cpu\s+(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/).slice(0, 8).map(Number);
  if (!fields || fields.length < 4 || fields.some((one) => !Number.isFinite(one))) return undefined;
  const all = fields.reduce((a, b) => a + b, 0);
  return { all, busy: all - (fields[3] ?? 0) - (fields[4] ?? 0) };
}

/** Ticks that a process and its ended children took: fields 14 to 17 of its stat. */
export function processTicks(probe: Pick<Probe, "text">, pid: number): number {
  const text = probe.text(`/proc/${pid}/stat`) ?? "";
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return [11, 12, 13, 14].map((at) => Number(fields[at]) || 0).reduce((a, b) => a + b, 0);
}

/** Watches the counters while something runs. */
export interface Watch {
  /** What was seen from the start until now. `ownTicks` are those of our engine, so that the others' share can be told. */
  end(ownTicks?: number): Conditions;
}

/** Milliseconds between two looks: often enough for heat and clocks, too seldom to disturb. */
const PERIOD = 500;

/** Starts watching. `end` stops it. */
export function watchSensors(probe: Probe): Watch {
  const first = readSensors(probe);
  const began = performance.now();
  const seen: Reading[] = [first];
  const timer = setInterval(() => seen.push(readSensors(probe)), PERIOD);
  timer.unref();
  return {
    end: (ownTicks) => {
      clearInterval(timer);
      seen.push(readSensors(probe));
      return { ...standing(probe), ...summary(seen, performance.now() - began, ownTicks) };
    },
  };
}

/** Pure: what a row of readings over `ms` milliseconds says. */
export function summary(seen: readonly Reading[], ms: number, ownTicks?: number): Conditions {
  const first = seen[0] ?? {};
  const last = seen.at(-1) ?? {};
  const heat = seen.flatMap(({ celsius }) => (celsius === undefined ? [] : [celsius]));
  const clocks = seen.slice(1).flatMap(({ clock }) => (clock === undefined ? [] : [clock]));
  const most = clocks.length > 0 ? Math.max(...clocks) : undefined;
  const joules = energyBetween(first, last);
  const ticks =
    first.ticks && last.ticks
      ? { all: last.ticks.all - first.ticks.all, busy: last.ticks.busy - first.ticks.busy }
      : undefined;
  return {
    ...(first.celsius === undefined
      ? {}
      : { celsius: { before: first.celsius, most: Math.max(...heat) } }),
    ...(most === undefined
      ? {}
      : { clock: { mean: clocks.reduce((a, b) => a + b) / clocks.length, most } }),
    ...(first.throttled && last.throttled
      ? { throttled: difference(first.throttled, last.throttled) }
      : {}),
    ...(joules === undefined || ms <= 0 ? {} : { energy: { joules, watts: joules / (ms / 1000) } }),
    ...(ticks && ticks.all > 0 && ownTicks !== undefined
      ? { othersBusy: Math.min(1, Math.max(0, (ticks.busy - ownTicks) / ticks.all)) }
      : {}),
  };
}

function difference(
  first: NonNullable<Reading["throttled"]>,
  last: NonNullable<Reading["throttled"]>,
): NonNullable<Conditions["throttled"]> {
  const times = Math.max(0, last.times - first.times);
  if (first.ms === undefined || last.ms === undefined) return { times };
  return { times, ms: Math.max(0, last.ms - first.ms) };
}

/** The counter starts again at its range: one turn at most is assumed, which is minutes at full power. */
function energyBetween(first: Reading, last: Reading): number | undefined {
  if (!first.energy || !last.energy) return undefined;
  const gone = last.energy.microjoules - first.energy.microjoules;
  return (gone >= 0 ? gone : gone + first.energy.wraps) / 1e6;
}

/** What does not change within a run: governor, preference, turbo, mains. */
export function standing(
  probe: Pick<Probe, "list" | "text">,
): Pick<Conditions, "governor" | "preference" | "turbo" | "onBattery"> {
  const [policy] = readPolicies(probe);
  const turbo = readTurbo(probe);
  const onBattery = readBattery(probe);
  return {
    ...(policy?.governor === undefined ? {} : { governor: policy.governor }),
    ...(policy?.preference === undefined ? {} : { preference: policy.preference }),
    ...(turbo === undefined ? {} : { turbo }),
    ...(onBattery === undefined ? {} : { onBattery }),
  };
}

/** Whether the clock may rise above the base clock; undefined where this machine does not say. */
export function readTurbo(probe: Pick<Probe, "text">): boolean | undefined {
  const noTurbo = number(probe.text(`${CPUS}/intel_pstate/no_turbo`));
  if (noTurbo !== undefined) return noTurbo === 0;
  const boost = number(probe.text(`${CPUS}/cpufreq/boost`));
  return boost === undefined ? undefined : boost === 1;
}

/** True where there is a mains supply and none is online; undefined where there is none to look at (a desktop, a virtual machine). */
export function readBattery(probe: Pick<Probe, "list" | "text">): boolean | undefined {
  const mains = probe
    .list("/sys/class/power_supply")
    .map((name) => join("/sys/class/power_supply", name))
    .filter((folder) => probe.text(join(folder, "type"))?.trim() === "Mains")
    .flatMap((folder) => number(probe.text(join(folder, "online"))) ?? []);
  return mains.length > 0 ? mains.every((online) => online === 0) : undefined;
}

/** What the first NVIDIA card does right now; nothing where there is none. */
export async function readGpu(probe: Probe): Promise<NonNullable<Conditions["gpu"]> | undefined> {
  if (probe.which("nvidia-smi") === undefined) return undefined;
  const ran =
    await probe.$`nvidia-smi --query-gpu=temperature.gpu,power.draw,clocks.sm --format=csv`;
  const [card] = ran.code === 0 ? parseNvidiaSmi(ran.stdout) : [];
  if (!card) return undefined;
  const clock = card.megahertz?.current;
  const watts = card.watts?.current;
  return {
    ...(card.celsius === undefined ? {} : { celsius: card.celsius }),
    ...(watts === undefined ? {} : { watts }),
    ...(clock === undefined ? {} : { clock: clock * 1e6 }),
  };
}

function number(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  const value = Number(text.trim());
  return Number.isFinite(value) ? value : undefined;
}
