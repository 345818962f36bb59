/** The processor: /proc/cpuinfo, sysfs cpu lists, and which cores are fast. */
import { filled, gapless, kernelSize, whole } from "./text.ts";

/** One logical processor: which core of which socket it runs on. */
export interface Thread {
  readonly cpu: number;
  readonly socket: number;
  readonly core: number;
}

/** What /proc/cpuinfo tells. */
export interface Cpuinfo {
  readonly vendor?: string;
  readonly model?: string;
  readonly family?: number;
  readonly modelNumber?: number;
  readonly stepping?: number;
  /** Revision of the microcode that runs, as written there, e.g. "0x429". */
  readonly microcode?: string;
  /** Logical processors that are online. */
  readonly logical: number;
  /** Physical cores, where the file tells them apart. */
  readonly physical?: number;
  readonly sockets?: number;
  readonly threads: readonly Thread[];
  /** Instruction-set and feature flags as the kernel names them, in all cores. */
  readonly isa: ReadonlySet<string>;
  /** Names of hardware bugs as the kernel lists them. */
  readonly bugs: readonly string[];
  /** True where cores differ in their number of threads, as on Intel hybrids with hyper-threading. A hint: `hybridCores` knows better. */
  readonly hybrid: boolean;
  /** True inside a virtual machine. */
  readonly hypervisor: boolean;
}

/** Reads /proc/cpuinfo (Linux, x86 and ARM). What is not there is left out; never throws. */
export function parseCpuinfo(text: string): Cpuinfo {
  const blocks: Map<string, string>[] = [];
  let block = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    if (at < 1) continue;
    const key = line.slice(0, at).trim();
    if (key === "processor") blocks.push((block = new Map<string, string>()));
    block.set(key, line.slice(at + 1).trim());
  }
  const first = blocks[0] ?? block;
  const threads: Thread[] = [];
  for (const one of blocks) {
    const cpu = whole(one.get("processor"));
    const core = whole(one.get("core id"));
    if (cpu === undefined || core === undefined) continue;
    threads.push({ cpu, core, socket: whole(one.get("physical id")) ?? 0 });
  }
  const perCore = new Map<string, number>();
  for (const { socket, core } of threads) {
    const id = `${socket}:${core}`;
    perCore.set(id, (perCore.get(id) ?? 0) + 1);
  }
  const told = threads.length > 0 && threads.length === blocks.length;
  let isa: Set<string> | undefined;
  for (const one of blocks) {
    const flags = words(one.get("flags") ?? one.get("Features"));
    isa = isa ? isa.intersection(new Set(flags)) : new Set(flags);
  }
  return {
    ...gapless({
      vendor: filled(first.get("vendor_id")),
      model: filled(first.get("model name"))?.replace(/\s+/g, " "),
      family: whole(first.get("cpu family")),
      modelNumber: whole(first.get("model")),
      stepping: whole(first.get("stepping")),
      microcode: filled(first.get("microcode")),
    }),
    logical: blocks.length,
    ...(told
      ? { physical: perCore.size, sockets: new Set(threads.map(({ socket }) => socket)).size }
      : {}),
    threads,
    isa: isa ?? new Set(),
    bugs: words(first.get("bugs")),
    hybrid: told && new Set(perCore.values()).size > 1,
    hypervisor: isa?.has("hypervisor") ?? false,
  };
}

/** Largest cpu number that is believed (the kernel's own limit is 8192). */
const MOST_CPUS = 8192;

/** A kernel cpu list, e.g. "0-3,8,10-11", in ascending order; undefined where the text is none. An empty list is []. */
export function parseCpuList(text: string): readonly number[] | undefined {
  const found = new Set<number>();
  const trimmed = text.trim();
  if (trimmed === "") return [];
  for (const part of trimmed.split(",")) {
    const range = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    if (!range) return undefined;
    const from = Number(range[1]);
    const to = Number(range[2] ?? range[1]);
    if (to < from || to >= MOST_CPUS) return undefined;
    for (let cpu = from; cpu <= to; cpu += 1) found.add(cpu);
  }
  return [...found].sort((a, b) => a - b);
}

/** Writes a cpu list as the kernel does, e.g. [0,1,2,8] -> "0-2,8". */
export function cpuList(cpus: readonly number[]): string {
  const sorted = [...new Set(cpus)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end += 1;
    parts.push(end === i ? String(sorted[i]) : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return parts.join(",");
}

/** Logical processors of a hybrid: fast (P, "Core") and frugal (E, "Atom"). */
export interface HybridCores {
  readonly performance: readonly number[];
  readonly efficiency: readonly number[];
}

/**
 * Who is who on an Intel hybrid, from the texts of /sys/devices/cpu_core/cpus and /sys/devices/cpu_atom/cpus.
 * Undefined where either is not there or empty: then all cores are alike, or the kernel does not tell.
 */
export function hybridCores(texts: {
  readonly cpuCore?: string | undefined;
  readonly cpuAtom?: string | undefined;
}): HybridCores | undefined {
  const performance = parseCpuList(texts.cpuCore ?? "");
  const efficiency = parseCpuList(texts.cpuAtom ?? "");
  if (!performance?.length || !efficiency?.length) return undefined;
  return { performance, efficiency };
}

/** The first logical processor of each physical core, among `within` where given: what to pin one thread per core to. */
export function onePerCore(
  threads: readonly Thread[],
  within?: readonly number[],
): readonly number[] {
  const seen = new Set<string>();
  const chosen: number[] = [];
  for (const { cpu, socket, core } of threads.toSorted((a, b) => a.cpu - b.cpu)) {
    const id = `${socket}:${core}`;
    if (seen.has(id) || (within && !within.includes(cpu))) continue;
    seen.add(id);
    chosen.push(cpu);
  }
  return chosen;
}

/** Flags that decide which kernels ggml can use on a CPU, in the kernel's names, from weak to strong. */
const ISA_THAT_MATTERS = [
  "sse3",
  "ssse3",
  "sse4_1",
  "sse4_2",
  "avx",
  "f16c",
  "fma",
  "bmi2",
  "avx2",
  "avx_vnni",
  "avx512f",
  "avx512bw",
  "avx512vl",
  "avx512vbmi",
  "avx512_vnni",
  "avx512_bf16",
  "amx_tile",
  "amx_int8",
  "amx_bf16",
  "asimd",
  "asimddp",
  "i8mm",
  "bf16",
  "sve",
  "sme",
] as const;

/** The flags among `isa` that decide how fast a model runs on it. "pni" is how the kernel calls SSE3. */
export function isaThatMatters(isa: ReadonlySet<string>): readonly string[] {
  return ISA_THAT_MATTERS.filter((flag) => isa.has(flag) || (flag === "sse3" && isa.has("pni")));
}

function words(text: string | undefined): string[] {
  return (text ?? "").split(/\s+/).filter((word) => word !== "");
}

/** One kind of cache and how many of it there are. */
export interface Cache {
  readonly level: number;
  /** "Data", "Instruction" or "Unified". */
  readonly type: string;
  /** Bytes of each. */
  readonly bytes: number;
  readonly count: number;
}

/** What /sys/devices/system/cpu/cpu<N>/cache/index<M>/ says, as texts. */
export interface CacheTexts {
  readonly level?: string | undefined;
  readonly type?: string | undefined;
  readonly size?: string | undefined;
  readonly sharedBy?: string | undefined;
}

/** Counts the caches that all logical processors name: one shared by several is one. Small and near ones first. */
export function countCaches(all: readonly CacheTexts[]): readonly Cache[] {
  const apart = new Map<string, Omit<Cache, "count">>();
  for (const { level: levelText, type, size, sharedBy } of all) {
    const level = whole(levelText);
    const bytes = kernelSize(size);
    if (level === undefined || bytes === undefined) continue;
    const kind = filled(type) ?? "Unified";
    apart.set(`${level} ${kind} ${sharedBy?.trim()}`, { level, type: kind, bytes });
  }
  const kinds = new Map<string, Cache>();
  for (const { level, type, bytes } of apart.values()) {
    const key = `${level} ${type} ${bytes}`;
    kinds.set(key, { level, type, bytes, count: (kinds.get(key)?.count ?? 0) + 1 });
  }
  return [...kinds.values()].sort(
    (a, b) => a.level - b.level || a.type.localeCompare(b.type) || a.bytes - b.bytes,
  );
}
