/** Facts of hosts that a build is decided for: a plain one, phantom and shadow, and pieces to change them with. */
import type { BuildFacts, Compiler, GenerationFacts } from "../../../lib/llm/build/facts.ts";
import { recipeOf } from "../../../lib/llm/build/recipe.ts";

export const HOME = "/home/op/.mountain_shelter";

export const GCC12: Compiler = {
  path: "/usr/bin/g++",
  c: "/usr/bin/gcc",
  text: "g++ (Debian 12.2.0-14+deb12u1) 12.2.0",
  version: "12.2.0",
  major: 12,
  architecture: "skylake",
  native: ["-mavx", "-mavx2", "-mfma"],
  amx: "none",
};
export const GCC15: Compiler = {
  ...GCC12,
  text: "g++ (Debian 15.2.0-9) 15.2.0",
  version: "15.2.0",
  major: 15,
  architecture: "alderlake",
};

/** A server CPU with Intel's matrix unit. */
export const WITH_AMX = ["-mamx-bf16", "-mamx-int8", "-mamx-tile", "-mavx", "-mavx2"];

/** A host without a graphics processor, with all tools, and nothing in its home yet. */
export const PLAIN: BuildFacts = {
  home: HOME,
  root: false,
  generations: [],
  cpu: { model: "Some CPU", isa: ["avx", "avx2", "fma"], logical: 4, allowed: 4 },
  memory: 16e9,
  disk: 100e9,
  os: { id: "debian", version: "12" },
  toolchain: {
    compiler: GCC12,
    cmake: "/usr/bin/cmake",
    git: "/usr/bin/git",
    generator: { name: "Ninja", path: "/usr/bin/ninja" },
    ccache: "/usr/bin/ccache",
    hostCompilers: [{ path: "/usr/bin/g++-12", major: 12 }],
  },
  graphics: [],
  cuda: {},
  vulkan: { headers: false, spirv: false, drivers: [], softwareOnly: false },
  rejected: {},
  asked: { with: [], without: [] },
  source: {
    copy: `${HOME}/runtime/llama.cpp/llama.cpp-v0.5.0.bundle`,
    sha256: "b".repeat(64),
    bytes: 1000,
    state: "absent",
    from: [{ path: `${HOME}/node_modules/node-llama-cpp/llama/gitRelease.bundle` }],
    near: true,
  },
  model: {
    name: "small",
    path: `${HOME}/models/sha256/${"a".repeat(64)}`,
    sha256: "a".repeat(64),
    bytes: 98_362_432,
    from: [{ path: "/data/small.gguf" }],
    there: false,
  },
  quarantine: `${HOME}/runtime/quarantine/engine-1`,
  begun: [],
  retention: 2,
};

/** The Galaxy Book2 Pro under Kali: Iris Xe (8086:46a6, pci.ids), a new glslc, Mesa. */
export const PHANTOM: BuildFacts = {
  ...PLAIN,
  cpu: { ...PLAIN.cpu, model: "12th Gen Intel(R) Core(TM) i7-1260P", logical: 16, allowed: 16 },
  os: { id: "kali", version: "2026.3" },
  toolchain: {
    ...PLAIN.toolchain,
    compiler: GCC15,
    hostCompilers: [{ path: "/usr/bin/g++-15", major: 15 }],
  },
  graphics: [{ address: "0000:00:02.0", id: "8086:46a6", vendor: "intel" }],
  vulkan: {
    glslc: { path: "/usr/bin/glslc", version: "2025.3", coopmat: true },
    headers: true,
    spirv: true,
    drivers: ["intel_icd.json", "lvp_icd.json"],
    softwareOnly: false,
    mesa: "26.2.1-1",
  },
};

/** The Aspire VX 15 under Debian 12: HD 630 and a GTX 1050 Ti Mobile (10de:1c8c), CUDA 11.8, driver 535, g++-11 beside g++ 12. */
export const SHADOW: BuildFacts = {
  ...PLAIN,
  cpu: { ...PLAIN.cpu, model: "Intel(R) Core(TM) i7-7700HQ CPU @ 2.80GHz", logical: 8, allowed: 8 },
  toolchain: {
    ...PLAIN.toolchain,
    hostCompilers: [
      { path: "/usr/bin/g++-11", major: 11 },
      { path: "/usr/bin/g++-12", major: 12 },
    ],
  },
  graphics: [
    { address: "0000:00:02.0", id: "8086:591b", vendor: "intel" },
    { address: "0000:01:00.0", id: "10de:1c8c", vendor: "nvidia", computeCapability: "6.1" },
  ],
  cuda: { nvcc: { path: "/usr/bin/nvcc", version: "11.8" }, driver: "535.183.01" },
  vulkan: {
    glslc: { path: "/usr/bin/glslc", version: "2023.2", coopmat: false },
    headers: true,
    spirv: true,
    drivers: ["intel_icd.x86_64.json", "nvidia_icd.json"],
    softwareOnly: false,
  },
};

/** The build that `facts` ask for, as it would stand in the home. */
export function generationFor(
  facts: BuildFacts,
  change: Partial<GenerationFacts> = {},
): GenerationFacts {
  const recipe = recipeOf(facts);
  if (!recipe) throw new Error("these facts have no compiler");
  const { id, backends, flags, inputs } = recipe;
  return {
    id,
    info: {
      ...{ schema: 1, id, backends, flags, inputs, asked: facts.asked, generator: "Ninja" },
      ...{ tag: "v0.5.0", commit: "c", tree: "t", ccache: true, jobs: 4, files: {} },
      ...{ started: "2026-11-01T10:00:00.000Z", took_ms: 450_000 },
    },
    proof: {
      ...{ build: id, at: "2026-11-01T10:10:00.000Z", model: facts.model.sha256 },
      ...{ answer: "Paris.", agreed: { cpu: { right: 123, of: 123 } } },
    },
    ...change,
  };
}

/** The same facts with the right build live, proven and whole. */
export function converged(facts: BuildFacts): BuildFacts {
  const generation = generationFor(facts);
  return {
    ...facts,
    generations: [generation],
    live: generation.id,
    source: { ...facts.source, state: "whole" },
    model: { ...facts.model, there: true },
  };
}
