/** How an engine serves a model: the default for a host that was never tuned, and what is really served with. */
import { hybridCores, onePerCore, parseCpuinfo, parseCpuList, type Thread } from "../facts/cpu.ts";
import { parseMeminfo } from "../facts/memory.ts";
import type { Probe } from "../machine/probe.ts";
import type { Profile, ServedModel, ServingBuild } from "./settings.ts";
import { tunedProfile } from "./tuned.ts";

export type { Profile, ServedModel, ServingBuild } from "./settings.ts";

/** What the default profile is decided by. */
export interface ProfileFacts {
  readonly logical: number;
  readonly threads: readonly Thread[];
  /** Logical processors that we may run on (cpusets, taskset). */
  readonly allowed: readonly number[];
  /** Fast cores of a hybrid. */
  readonly performance?: readonly number[];
  /** Bytes that a new program can have. */
  readonly available?: number;
  /** Bytes of memory that the host has. */
  readonly total?: number;
  readonly gpu: boolean;
  readonly model: {
    readonly bytes: number;
    readonly context?: number;
    readonly kvBytesPerToken?: number;
  };
}

const MOST_CONTEXT = 8192;
const LEAST_CONTEXT = 512;

/** Requests that an engine serves at once. */
const PARALLEL = 4;

/**
 * The profile of a host that was never tuned. One thread per physical core (hyper-threads share the units that matter); on a hybrid the fast
 * cores alone and pinned (llama.cpp#5225); as much context as the model knows, 8192 at most, halved until its cache takes at most half of
 * the memory that is left beside the model.
 *
 * On the CPU alone each request has a cache of its own where half of the host's memory holds the model and twice that: in a shared one the order of the cells hangs on who else asks, and with it the
 * last bits of every sum, so that an answer at temperature 0 may differ beside others (10 of 12 were equal, with caches of their own 12 of 12).
 */
export function defaultProfile(facts: ProfileFacts): Profile {
  const allowed = facts.allowed.length > 0 ? facts.allowed : undefined;
  const fast = facts.performance?.filter((cpu) => !allowed || allowed.includes(cpu)) ?? [];
  const cores = onePerCore(facts.threads, fast.length > 0 ? fast : allowed);
  const counts = [cores.length, fast.length, facts.allowed.length, facts.logical];
  const threads = counts.find((count) => count > 0) ?? 1;
  const room = facts.available === undefined ? undefined : facts.available - facts.model.bytes;
  let context = Math.min(facts.model.context ?? 4096, MOST_CONTEXT);
  const perToken = facts.model.kvBytesPerToken;
  if (room !== undefined && perToken !== undefined) {
    while (context > LEAST_CONTEXT && context * perToken > room / 2) {
      context = Math.max(LEAST_CONTEXT, Math.floor(context / 2));
    }
  }
  // by what does not move: with the memory that is free the answer would be another one as soon as the engine runs
  const ownRoom =
    facts.total !== undefined &&
    perToken !== undefined &&
    PARALLEL * context * perToken <= (facts.total / 2 - facts.model.bytes) / 2;
  return {
    threads,
    cpus: fast.length > 0 ? (cores.length > 0 ? cores : fast) : [],
    batch: 2048,
    ubatch: 512,
    flashAttention: "auto",
    cacheTypeK: "f16",
    cacheTypeV: "f16",
    gpuLayers: facts.gpu ? "fit" : 0,
    speculation: "none",
    draft: 0,
    parallel: PARALLEL,
    context,
    kvUnified: facts.gpu || !ownRoom,
  };
}

/** Reads what the default profile of a model is decided by. */
export function profileFacts(probe: Probe, model: ServedModel, build: ServingBuild): ProfileFacts {
  const cpu = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(probe.text("/proc/self/status") ?? "")?.[1];
  const hybrid = hybridCores({
    cpuCore: probe.text("/sys/devices/cpu_core/cpus"),
    cpuAtom: probe.text("/sys/devices/cpu_atom/cpus"),
  });
  const memory = parseMeminfo(probe.text("/proc/meminfo") ?? "");
  const { context, kvBytesPerToken } = model.head ?? {};
  return {
    logical: cpu.logical,
    threads: cpu.threads,
    allowed: parseCpuList(allowed ?? "") ?? [],
    ...(hybrid ? { performance: hybrid.performance } : {}),
    ...(memory ? { available: memory.available, total: memory.total } : {}),
    gpu: hasGpu(build),
    model: {
      bytes: model.bytes,
      ...(context === undefined ? {} : { context }),
      ...(kvBytesPerToken === undefined ? {} : { kvBytesPerToken }),
    },
  };
}

/** True where the build has a back-end for a GPU. */
export function hasGpu(build: ServingBuild): boolean {
  return (build.info?.backends ?? []).some((one) => /cuda|vulkan|rocm|hip|sycl|metal/i.test(one));
}

/** The profile that a model is served with on a build: the tuned one, else the default of this host. */
export function servedProfile(probe: Probe, model: ServedModel, build: ServingBuild): Profile {
  return (
    tunedProfile(probe, model, build)?.profile ?? defaultProfile(profileFacts(probe, model, build))
  );
}
