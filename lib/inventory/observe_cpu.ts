/** Reads the processor: what it is, and how it is run right now. */
import {
  countCaches,
  cpuList,
  hybridCores,
  isaThatMatters,
  parseCpuinfo,
  parseCpuList,
  type CacheTexts,
} from "../facts/cpu.ts";
import { filled, whole } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import type { Moving, Stable } from "./document.ts";
import { absent, failed, isKnown, readKnown, type Known } from "./known.ts";

const CPUS = "/sys/devices/system/cpu";

/** What stays of the processor. `microcodePackage` is the installed Debian package with its version, where one is. */
export function observeCpu(probe: Probe, microcodePackage: Known<string>): Stable["cpu"] {
  const cpuinfo = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const unsaid = absent("/proc/cpuinfo does not say");
  const online = onlineCpus(probe, cpuinfo.logical);
  const hybrid = hybridCores({
    cpuCore: probe.text("/sys/devices/cpu_core/cpus"),
    cpuAtom: probe.text("/sys/devices/cpu_atom/cpus"),
  });
  return {
    vendor: cpuinfo.vendor ?? unsaid,
    model: cpuinfo.model ?? unsaid,
    logical: cpuinfo.logical || online.length,
    physical: cpuinfo.physical ?? unsaid,
    sockets: cpuinfo.sockets ?? unsaid,
    nodes: readKnown(
      probe,
      "/sys/devices/system/node/online",
      "NUMA nodes",
      (said) => parseCpuList(said)?.length,
    ),
    hybrid: hybrid
      ? { performance: cpuList(hybrid.performance), efficiency: cpuList(hybrid.efficiency) }
      : absent(
          cpuinfo.hybrid
            ? "cores differ in their threads, but the kernel does not tell fast from frugal ones"
            : "all cores are alike, or the kernel does not tell",
        ),
    isa: isaThatMatters(cpuinfo.isa),
    caches: countCaches(online.flatMap((cpu) => cachesOf(probe, cpu))),
    driver: readKnown(
      probe,
      `${firstPolicy(probe)}/scaling_driver`,
      "the frequency driver",
      filled,
    ),
    microcode: cpuinfo.microcode ?? unsaid,
    microcodePackage,
    vulnerabilities: vulnerabilities(probe),
  };
}

/** How the processor is run now: governor, preference, turbo, highest clocks. */
export function observeClocks(probe: Probe): Moving["cpu"] {
  const policy = firstPolicy(probe);
  const fact = (path: string, what: string) => readKnown(probe, path, what, filled);
  const highest = new Set<number>();
  for (const name of policies(probe)) {
    const khz = whole(probe.text(`${CPUS}/cpufreq/${name}/cpuinfo_max_freq`));
    if (khz !== undefined) highest.add(Math.round(khz / 1000));
  }
  return {
    governor: fact(`${policy}/scaling_governor`, "the governor"),
    preference: fact(`${policy}/energy_performance_preference`, "the energy preference"),
    pstate: fact(`${CPUS}/intel_pstate/status`, "intel_pstate"),
    turbo: readKnown(probe, `${CPUS}/intel_pstate/no_turbo`, "turbo", (said) =>
      /^[01]$/.test(said.trim()) ? said.trim() === "0" : undefined,
    ),
    platformProfile: fact("/sys/firmware/acpi/platform_profile", "the platform profile"),
    maxMegahertz:
      highest.size > 0
        ? [...highest].sort((a, b) => b - a)
        : absent("the kernel has no frequency driver for this processor"),
  };
}

/**
 * How often heat slowed the processor since boot. A core's counter is one of each of its threads', a package's one of all its cores':
 * each is counted once (Linux, arch/x86/kernel/cpu/mce/therm_throt.c).
 */
export function observeThrottling(probe: Probe): Moving["throttled"] {
  const cores = new Map<string, number>();
  const packages = new Map<string, { count: number; ms: number }>();
  for (const cpu of onlineCpus(probe, 0)) {
    const at = `${CPUS}/cpu${cpu}`;
    const count = (name: string) => whole(probe.text(`${at}/thermal_throttle/${name}`));
    const core = count("core_throttle_count");
    const chip = count("package_throttle_count");
    if (core === undefined && chip === undefined) continue;
    const socket = probe.text(`${at}/topology/physical_package_id`)?.trim() ?? "0";
    const id = `${socket}:${probe.text(`${at}/topology/core_id`)?.trim() ?? cpu}`;
    cores.set(id, Math.max(cores.get(id) ?? 0, core ?? 0));
    const before = packages.get(socket) ?? { count: 0, ms: 0 };
    packages.set(socket, {
      count: Math.max(before.count, chip ?? 0),
      ms: Math.max(before.ms, count("package_throttle_total_time_ms") ?? 0),
    });
  }
  if (cores.size === 0) return absent("the kernel counts no thermal throttling here");
  const all = [...packages.values()];
  return {
    core: [...cores.values()].reduce((sum, one) => sum + one, 0),
    package: all.reduce((sum, one) => sum + one.count, 0),
    milliseconds: all.reduce((sum, one) => sum + one.ms, 0),
  };
}

function vulnerabilities(probe: Probe): Stable["cpu"]["vulnerabilities"] {
  const folder = `${CPUS}/vulnerabilities`;
  const found: Record<string, string> = {};
  for (const name of probe.list(folder)) {
    const said = filled(probe.text(`${folder}/${name}`));
    if (said !== undefined) found[name] = said;
  }
  if (Object.keys(found).length > 0) return found;
  return absent(`${folder} is not there`);
}

/** Logical processors that are online; the kernel's list, else as many as /proc/cpuinfo has. */
function onlineCpus(probe: Probe, counted: number): readonly number[] {
  const listed = parseCpuList(probe.text(`${CPUS}/online`) ?? "");
  if (listed && listed.length > 0) return listed;
  return Array.from({ length: counted }, (_, cpu) => cpu);
}

function cachesOf(probe: Probe, cpu: number): readonly CacheTexts[] {
  const folder = `${CPUS}/cpu${cpu}/cache`;
  return probe
    .list(folder)
    .filter((name) => /^index\d+$/.test(name))
    .map((name) => ({
      level: probe.text(`${folder}/${name}/level`),
      type: probe.text(`${folder}/${name}/type`),
      size: probe.text(`${folder}/${name}/size`),
      sharedBy: probe.text(`${folder}/${name}/shared_cpu_list`),
    }));
}

function policies(probe: Probe): readonly string[] {
  return probe.list(`${CPUS}/cpufreq`).filter((name) => /^policy\d+$/.test(name));
}

function firstPolicy(probe: Probe): string {
  return `${CPUS}/cpufreq/${policies(probe)[0] ?? "policy0"}`;
}

/** The installed package that brings microcode for this maker's processors; only dpkg knows, so only Debian and its kin can tell. */
export async function observeMicrocodePackage(
  probe: Probe,
  vendor: Known<string>,
): Promise<Known<string>> {
  const name = microcodePackageFor(vendor);
  if (name === undefined) return absent("no package brings microcode for this processor");
  if (probe.which("dpkg-query") === undefined) return absent("dpkg-query is not there to ask");
  const ran = await probe.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", name]);
  const version = /^installed (\S{1,100})$/.exec(ran.stdout.trim())?.[1];
  if (version !== undefined) return `${name} ${version}`;
  if (ran.timedOut) return failed("dpkg-query did not answer");
  return absent(`${name} is not installed`);
}

/** Debian's package of microcode for a maker's processors. */
export function microcodePackageFor(vendor: Known<string>): string | undefined {
  if (!isKnown(vendor)) return undefined;
  return { GenuineIntel: "intel-microcode", AuthenticAMD: "amd64-microcode" }[vendor];
}
