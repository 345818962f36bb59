/** Reads everything that a build is decided by. */
import { join } from "node:path";
import { isaThatMatters, parseCpuinfo, parseCpuList } from "../../facts/cpu.ts";
import { computeCapabilityOf, isDisplay, NVIDIA_FIELDS, parseNvidiaSmi } from "../../facts/gpu.ts";
import { parseMeminfo } from "../../facts/memory.ts";
import { parseOsRelease } from "../../facts/os.ts";
import { json, members } from "../../facts/text.ts";
import { readConfig } from "../../hosts/config.ts";
import { inHome } from "../../keep/home.ts";
import type { Probe } from "../../machine/probe.ts";
import type { Args } from "../../unit.ts";
import { type Build, BUILD_ID, builds, liveLink, proofOf } from "../builds.ts";
import { lookAtCatalogue } from "../catalogue.ts";
import { sourcesOf } from "../install.ts";
import { modelsOfPeers } from "../install_facts.ts";
import { type Asked, isOptional, wishes } from "./backends.ts";
import type { BuildFacts, CudaFacts, GenerationFacts, GraphicsFacts } from "./facts.ts";
import { bundleSources, type Pins } from "./pins.ts";
import { rejectionPath } from "./prove.ts";
import { recipeOf } from "./recipe.ts";
import { installedBundle, sourceCopy, upstreamCopy } from "./source.ts";
import { observeNvcc, observeToolchain, observeVulkan } from "./toolchain.ts";

/** All facts of 03_build_llama_cpp. The live build and the one that is wanted are hashed; all are with --verify. */
export async function observeBuild(probe: Probe, want: Args, pins: Pins): Promise<BuildFacts> {
  const [toolchain, nvcc, vulkan, cards, source, model, config] = await Promise.all([
    observeToolchain(probe),
    observeNvcc(probe),
    observeVulkan(probe),
    observeGraphics(probe),
    observeSource(probe, pins),
    observeModel(probe, pins.reference.model),
    readConfig(probe),
  ]);
  const { home } = probe;
  const cpu = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const os = parseOsRelease(probe.text("/etc/os-release") ?? "");
  const all = builds(probe);
  const live = probe.stat(liveLink(home))?.target;
  const facts: BuildFacts = {
    ...{ home, root: probe.me.root, live, toolchain, vulkan, source, model, rejected: {} },
    generations: [],
    cpu: {
      model: cpu.model ?? "unknown",
      isa: isaThatMatters(cpu.isa),
      logical: cpu.logical,
      allowed: allowedCpus(probe) ?? Math.max(1, cpu.logical),
    },
    memory: parseMeminfo(probe.text("/proc/meminfo") ?? "")?.available,
    disk: probe.space(home)?.free ?? probe.space(join(home, ".."))?.free,
    os: { id: os.id, version: os.version },
    graphics: cards.graphics,
    cuda: { nvcc, driver: cards.driver },
    asked: askedFor(
      want,
      all.find((one) => one.id === live),
    ),
    quarantine: freeQuarantine(probe),
    begun: begunBuilds(probe, all),
    retention: config.retention.builds,
  };
  const judged = withRejections(probe, facts);
  const wanted = recipeOf(judged)?.id;
  const generations: GenerationFacts[] = [];
  for (const build of all) {
    const looked = build.id === live || build.id === wanted || want["verify"] === true;
    generations.push({
      id: build.id,
      info: build.info,
      proof: proofOf(probe, build.id),
      damage: looked ? await damageOf(probe, build) : undefined,
    });
  }
  return { ...judged, generations };
}

/** What of a build is not what its build-info says; undefined for a whole one. */
async function damageOf(probe: Probe, build: Build): Promise<string | undefined> {
  for (const [path, { sha256, bytes }] of Object.entries(build.info.files)) {
    const at = join(build.folder, path);
    const entry = probe.stat(at);
    if (entry?.kind !== "file") return `${path} is missing`;
    if (entry.size !== bytes) return `${path} has ${entry.size} bytes, and ${bytes} were built`;
    if ((await probe.sha256(at)) !== sha256)
      return `${path} is not what was built: its hash differs`;
    if ((entry.mode & 0o100) === 0) return `${path} can't be run: mode ${entry.mode.toString(8)}`;
  }
  return undefined;
}

/** Leaves out, one by one, the parts whose build failed its proof here. */
function withRejections(probe: Probe, facts: BuildFacts): BuildFacts {
  const rejected: Record<string, string> = {};
  for (;;) {
    const recipe = recipeOf({ ...facts, rejected });
    const text = recipe && probe.text(rejectionPath(probe.home, recipe.id));
    const { part, why } = members(json(text ?? ""));
    const known = typeof part === "string" && isOptional(part) && typeof why === "string";
    if (!known || rejected[part] !== undefined || facts.asked.with.includes(part)) {
      return { ...facts, rejected };
    }
    rejected[part] = why;
  }
}

/** What the operator asks for now, else asked for when the live build was made. "auto" is neither with nor without. */
function askedFor(want: Args, live: Build | undefined): Asked {
  const [now, without] = [wishes(want["with"]), wishes(want["without"])];
  if (now.length + without.length > 0) {
    return { with: now.filter(isOptional), without: without.filter(isOptional) };
  }
  return live?.info.asked ?? { with: [], without: [] };
}

async function observeGraphics(
  probe: Probe,
): Promise<{ graphics: readonly GraphicsFacts[]; driver: CudaFacts["driver"] }> {
  const folder = "/sys/bus/pci/devices";
  const hex = (address: string, name: string) =>
    (probe.text(join(folder, address, name)) ?? "").trim().replace(/^0x/, "");
  const found = probe
    .list(folder)
    .filter((address) => isDisplay(hex(address, "class")))
    .map((address) => ({ address, id: `${hex(address, "vendor")}:${hex(address, "device")}` }));
  const smi = found.some(({ id }) => id.startsWith("10de:"))
    ? probe.which("nvidia-smi")
    : undefined;
  const told = smi ? await askNvidia(probe, smi) : [];
  return {
    driver: told[0]?.driver,
    graphics: found.map(({ address, id }) => ({
      address,
      id,
      vendor: VENDORS[id.slice(0, 4)] ?? "other",
      computeCapability:
        told.find((one) => one.address === address)?.computeCapability ?? computeCapabilityOf(id),
    })),
  };
}

/** PCI vendors (pci.ids). */
const VENDORS: Readonly<Record<string, "intel" | "amd" | "nvidia">> = {
  "8086": "intel",
  "1002": "amd",
  "10de": "nvidia",
};

/** Older drivers refuse the whole question for one field that they do not know: asked again without it. */
async function askNvidia(probe: Probe, smi: string): Promise<ReturnType<typeof parseNvidiaSmi>> {
  const known = NVIDIA_FIELDS.filter((one) =>
    ["name", "pci.bus_id", "driver_version", "compute_cap"].includes(one),
  );
  for (const fields of [known, known.filter((one) => one !== "compute_cap")]) {
    const ran = await probe.run([smi, `--query-gpu=${fields.join(",")}`, "--format=csv"]);
    const told = ran.code === 0 ? parseNvidiaSmi(ran.stdout) : [];
    if (told.length > 0) return told;
  }
  return [];
}

async function observeSource(probe: Probe, pins: Pins): Promise<BuildFacts["source"]> {
  const copy = sourceCopy(probe.home);
  const { bytes, sha256 } = pins.bundle;
  const entry = probe.stat(copy);
  const whole = entry?.size === bytes && (await probe.sha256(copy)) === sha256;
  const installed = installedBundle(probe.home);
  return {
    ...{ copy, sha256, bytes },
    state:
      whole || (!entry && probe.stat(upstreamCopy(probe.home)))
        ? "whole"
        : entry
          ? "damaged"
          : "absent",
    from: bundleSources(installed),
    near: probe.stat(installed)?.size === bytes,
  };
}

async function observeModel(probe: Probe, sha256: string): Promise<BuildFacts["model"]> {
  const { entries } = await lookAtCatalogue(probe);
  const entry = entries.find((one) => one.sha256 === sha256);
  const path = inHome.store(probe.home, sha256);
  return {
    ...{ path, sha256 },
    name: entry?.name ?? "",
    bytes: entry?.bytes ?? 0,
    from: entry ? sourcesOf({ peers: await modelsOfPeers(probe) }, entry) : [],
    there: entry !== undefined && probe.stat(path)?.size === entry.bytes,
  };
}

/** Builds whose compiling was begun and that are no generation yet. */
function begunBuilds(probe: Probe, all: readonly Build[]): readonly string[] {
  return probe
    .list(inHome.work(probe.home, "llama.cpp"))
    .filter((name) => BUILD_ID.test(name) && !all.some((one) => one.id === name))
    .filter((name) => probe.stat(inHome.work(probe.home, "llama.cpp", name, "CMakeCache.txt")));
}

/** A name in the quarantine that is still free. */
function freeQuarantine(probe: Probe): string {
  for (let count = 1; ; count++) {
    const path = join(inHome.quarantine(probe.home), `engine-${count}`);
    if (!probe.stat(path)) return path;
  }
}

function allowedCpus(probe: Probe): number | undefined {
  const status = probe.text("/proc/self/status") ?? "";
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1];
  const cpus = parseCpuList(allowed ?? "") ?? [];
  return cpus.length > 0 ? cpus.length : undefined;
}
