/** Reads the programs that build: which are there, in which version, and what they can really do. */
import { firstLine } from "./words.ts";
import type { Probe } from "../../machine/probe.ts";
import type { Compiler, CudaFacts, Toolchain, VulkanFacts } from "./facts.ts";

/** GCC versions that are looked for beside the default one. */
const VERSIONED = Array.from({ length: 10 }, (_, index) => index + 9);

/** Looks at the compiler, cmake, git, ninja or make, and ccache. */
export async function observeToolchain(probe: Probe): Promise<Toolchain> {
  const [ninja, make] = [probe.which("ninja"), probe.which("make")];
  return {
    compiler: await observeCompiler(probe),
    cmake: probe.which("cmake"),
    git: probe.which("git"),
    ccache: probe.which("ccache"),
    generator: ninja
      ? { name: "Ninja", path: ninja }
      : make
        ? { name: "Unix Makefiles", path: make }
        : undefined,
    hostCompilers: VERSIONED.flatMap((major) => {
      const path = probe.which(`g++-${major}`);
      return path === undefined ? [] : [{ path, major }];
    }),
  };
}

async function observeCompiler(probe: Probe): Promise<Compiler | undefined> {
  const [path, c] = [probe.which("g++"), probe.which("gcc")];
  if (path === undefined || c === undefined) return undefined;
  const [told, target] = await Promise.all([
    probe.run([path, "--version"]),
    probe.run([path, "-march=native", "-Q", "--help=target"]),
  ]);
  const text = firstLine(told.stdout);
  const version = /(\d+\.\d+\.\d+)(?!.*\d+\.\d+\.\d+)/.exec(text)?.[1];
  if (told.code !== 0 || version === undefined) return undefined;
  const { architecture, native } = parseTarget(target.stdout);
  return {
    ...{ path, c, text, version, architecture, native },
    major: Number.parseInt(version, 10),
    amx: native.includes("-mamx-tile") ? await observeAmx(probe, path) : "none",
  };
}

/** What `g++ -march=native -Q --help=target` (GCC 8 and later) says: the architecture and the switches that are on. Sizes of caches are left out. */
export function parseTarget(text: string): { architecture: string; native: readonly string[] } {
  const native = [...text.matchAll(/^\s+(-m[\w.+-]+)\s+\[enabled\]$/gm)].map(([, one = ""]) => one);
  const architecture = /^\s+-march=\s+(\S+)/m.exec(text)?.[1] ?? "unknown";
  return { architecture, native: native.toSorted() };
}

/** A function whose argument has to reach memory before ldtilecfg reads it. */
const AMX_TEST = `#include <immintrin.h>
void check(unsigned char rows) {
  alignas(64) unsigned char config[64] = {};
  config[0] = 1;
  config[48] = rows;
  _tile_loadconfig(config);
}
`;

/**
 * Whether the compiler keeps the stores that set up the matrix unit. GCC before 13.2.1 declares only the first 8 bytes as read, drops the others,
 * and the CPU refuses the rest (llama.cpp#20824, #26954; measured with 12.2). Asked of the assembly that it prints.
 */
async function observeAmx(probe: Probe, compiler: string): Promise<Compiler["amx"]> {
  const ran = await probe.run(
    [compiler, "-O3", "-march=native", "-x", "c++", "-S", "-o", "-", "-"],
    { input: AMX_TEST, timeout: 20_000 },
  );
  if (ran.code !== 0) return "none";
  return keepsTileConfig(ran.stdout) ? "sound" : "miscompiled";
}

/** True where the assembly of the test function uses its argument (first one: %dil or %edi; System V ABI). */
export function keepsTileConfig(assembly: string): boolean {
  return /%(dil|di|edi|rdi)\b/.test(assembly) && /ldtilecfg/.test(assembly);
}

/** Looks at NVIDIA's compiler; what is known of the driver comes from the cards. */
export async function observeNvcc(probe: Probe): Promise<CudaFacts["nvcc"]> {
  const path =
    probe.which("nvcc") ??
    ["/usr/local/cuda/bin/nvcc"].find((one) => probe.real(one) !== undefined);
  if (path === undefined) return undefined;
  const ran = await probe.run([path, "--version"]);
  const version = /release (\d+\.\d+)/.exec(ran.stdout)?.[1];
  return ran.code === 0 && version !== undefined ? { path, version } : undefined;
}

/** llama.cpp's own feature test (ggml-vulkan, feature-tests/coopmat.comp): an empty shader that wants the extension. */
const COOPMAT = `#version 460
#extension GL_KHR_cooperative_matrix : require
void main() { }
`;

/** Looks at what a Vulkan build takes. glslc is asked to compile a shader: its version alone does not tell. */
export async function observeVulkan(probe: Probe): Promise<VulkanFacts> {
  const path = probe.which("glslc");
  const drivers = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
    .flatMap((folder) => probe.list(folder))
    .filter((name) => name.endsWith(".json"));
  const mesa = await probe.run(["dpkg-query", "-W", "-f", "${Version}", "mesa-vulkan-drivers"]);
  return {
    glslc: path === undefined ? undefined : await observeGlslc(probe, path),
    headers: ["/usr/include/vulkan/vulkan.h", "/usr/local/include/vulkan/vulkan.h"].some(
      (one) => probe.real(one) !== undefined,
    ),
    spirv: SPIRV.some((one) => probe.real(one) !== undefined),
    drivers,
    softwareOnly: drivers.length > 0 && drivers.every((name) => name.startsWith("lvp_")),
    mesa: mesa.code === 0 && mesa.stdout.trim() !== "" ? mesa.stdout.trim() : undefined,
  };
}

/** Where SPIRV-Headers' cmake package stands: its own default, and distributions'. */
const SPIRV = ["share", "lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"].flatMap((folder) =>
  ["/usr", "/usr/local"].map(
    (prefix) => `${prefix}/${folder}/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake`,
  ),
);

async function observeGlslc(probe: Probe, path: string): Promise<VulkanFacts["glslc"]> {
  const [told, shader] = await Promise.all([
    probe.run([path, "--version"]),
    probe.run([path, "-fshader-stage=compute", "--target-env=vulkan1.3", "-o", "-", "-"], {
      input: COOPMAT,
      timeout: 20_000,
    }),
  ]);
  const version = /v?(\d{4}\.\d+)/.exec(told.stdout)?.[1] ?? "of unknown version";
  return { path, version, coopmat: shader.code === 0 };
}
