/** A build as data: its cmake arguments, and the id that follows from everything that decides the outcome. Pure. */
import { sha256 } from "../../machine/hash.ts";
import type { Backend } from "../builds.ts";
import { type Choice, chooseBackends } from "./backends.ts";
import type { BuildFacts } from "./facts.ts";
import { ENGINE_SOURCE, PROGRAMS } from "./pins.ts";
import { textHash } from "./workaround.ts";

/** What to build, and how. */
export interface Recipe {
  readonly id: string;
  readonly choice: Choice;
  readonly backends: readonly Backend[];
  /** cmake's -D arguments that decide the outcome. */
  readonly flags: readonly string[];
  readonly inputs: { readonly [name: string]: string };
}

/**
 * Instruction sets that make the engine slower. With AVX512-FP16 llama.cpp's half-precision kernels take 128 values a step (ggml-cpu/simd-mappings.h, v0.5.0),
 * so that attention heads of 64 are left to scalar code: generation after 443 tokens was 70 tokens/s with it and 174 without (SmolLM2-135M, 2 threads).
 */
const SLOWER: ReadonlySet<string> = new Set(["-mavx512fp16"]);

/** The recipe for a host; undefined where there is no compiler to tell what native means. */
export function recipeOf(facts: BuildFacts): Recipe | undefined {
  const { compiler } = facts.toolchain;
  if (!compiler) return undefined;
  const choice = chooseBackends({ ...facts, isa: facts.cpu.isa }, facts.asked);
  const flags = flagsOf(facts, choice);
  const { cuda, vulkan } = facts;
  const has = (one: Backend) => choice.backends.includes(one);
  const inputs: Record<string, string> = {
    source: `${ENGINE_SOURCE.tag}, tree ${ENGINE_SOURCE.tree}`,
    programs: PROGRAMS.join(" "),
    flags: flags.join(" "),
    compiler: compiler.text,
    cpu: facts.cpu.model,
    architecture: compiler.architecture,
    "instruction sets": compiler.native.join(" "),
    ...Object.fromEntries(choice.workarounds.map((one) => [`workaround ${one}`, textHash(one)])),
    ...(has("cuda") && cuda.nvcc ? { CUDA: cuda.nvcc.version } : {}),
    // a driver of another branch is another engine below the engine: proven anew
    ...(has("cuda") && cuda.driver ? { "NVIDIA driver": cuda.driver.split(".")[0] ?? "" } : {}),
    ...(has("vulkan") && vulkan.glslc ? { glslc: vulkan.glslc.version } : {}),
    ...(has("vulkan") && vulkan.mesa ? { Mesa: vulkan.mesa } : {}),
  };
  return { id: idOf(inputs), choice, backends: choice.backends, flags, inputs };
}

/** "b-" and 12 hex digits of the inputs' hash, whatever their order. */
export function idOf(inputs: { readonly [name: string]: string }): string {
  const sorted = Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1));
  return `b-${sha256(JSON.stringify(sorted)).slice(0, 12)}`;
}

/** What differs between two builds' inputs, one line each, for people. */
export function differences(
  before: { readonly [name: string]: string },
  now: { readonly [name: string]: string },
): readonly string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  return names.flatMap((name) => {
    const [was, is] = [before[name], now[name]];
    if (was === is) return [];
    if (was === undefined || is === undefined) {
      return [was === undefined ? `${name}: now ${is}` : `${name}: no longer ${was}`];
    }
    const [wasWords, isWords] = [new Set(was.split(" ")), new Set(is.split(" "))];
    if (wasWords.size < 8) return [`${name}: ${was} -> ${is}`];
    const gained = [...isWords].filter((word) => !wasWords.has(word)).map((word) => `+${word}`);
    const lost = [...wasWords].filter((word) => !isWords.has(word)).map((word) => `-${word}`);
    return [`${name}: ${[...gained, ...lost].join(" ")}`];
  });
}

function flagsOf(facts: BuildFacts, choice: Choice): readonly string[] {
  const { toolchain, cuda } = facts;
  const compiler = toolchain.compiler;
  const off = [
    "BUILD_SHARED_LIBS",
    "LLAMA_BUILD_TESTS",
    "LLAMA_BUILD_EXAMPLES",
    "LLAMA_BUILD_APP",
    // the web page would need npm, or the network
    "LLAMA_BUILD_UI",
    "LLAMA_USE_PREBUILT_UI",
    // it serves on loopback; without it the outcome does not depend on libssl-dev being there
    "LLAMA_OPENSSL",
    // this is the tag itself
    "LLAMA_BUILD_IS_DEV",
    // ccache is given by us, with settings that let homes share it
    "GGML_CCACHE",
  ].map((name) => `${name}=OFF`);
  // where it is put right, it is on again for the one target that uses it, together with the header
  const amxOff = !choice.amx || choice.workarounds.includes("amx-tile-config");
  const without = (compiler?.native ?? [])
    .filter((one) => SLOWER.has(one) || (amxOff && one.startsWith("-mamx-")))
    .map((one) => `-mno-${one.slice(2)}`);
  return [
    "CMAKE_BUILD_TYPE=Release",
    `CMAKE_C_COMPILER=${compiler?.c ?? "gcc"}`,
    `CMAKE_CXX_COMPILER=${compiler?.path ?? "g++"}`,
    ...(without.length > 0
      ? [`CMAKE_C_FLAGS=${without.join(" ")}`, `CMAKE_CXX_FLAGS=${without.join(" ")}`]
      : []),
    "GGML_NATIVE=ON",
    "GGML_RPC=ON",
    ...off,
    // else cmake asks git in the folder, and in a home that is a clone gets that clone's commit
    "LLAMA_BUILD_NUMBER=0",
    `LLAMA_BUILD_COMMIT=${ENGINE_SOURCE.commit.slice(0, 7)}`,
    ...(choice.cuda
      ? [
          "GGML_CUDA=ON",
          `CMAKE_CUDA_COMPILER=${cuda.nvcc?.path ?? "nvcc"}`,
          `CMAKE_CUDA_ARCHITECTURES=${choice.cuda.architectures.join(";")}`,
          ...(choice.cuda.hostCompiler
            ? [`CMAKE_CUDA_HOST_COMPILER=${choice.cuda.hostCompiler}`]
            : []),
        ]
      : []),
    ...(choice.backends.includes("vulkan") ? ["GGML_VULKAN=ON"] : []),
  ];
}

/** Memory that one compiling process may take, in bytes: CUDA's and Vulkan's large files take more. */
const PER_JOB = { cpu: 1024 ** 3, accelerated: 2.5 * 1024 ** 3 } as const;

/** How many files to compile at once: a core each, as long as memory lasts; at least one. */
export function jobsFor(facts: BuildFacts, backends: readonly Backend[], asked?: number): number {
  if (asked !== undefined) return asked;
  const each = backends.length > 1 ? PER_JOB.accelerated : PER_JOB.cpu;
  const room = facts.memory === undefined ? facts.cpu.allowed : Math.floor(facts.memory / each);
  return Math.max(1, Math.min(facts.cpu.allowed, room));
}
