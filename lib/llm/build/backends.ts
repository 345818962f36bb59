/** Which back-ends a host's engine gets, and why each other one does not: pure, from facts. */
import { nvidiaArchitecture } from "../../facts/gpu.ts";
import type { Args } from "../../unit.ts";
import type { Backend } from "../builds.ts";
import type { Workaround } from "./workaround.ts";
import type { CudaFacts, GraphicsFacts, Toolchain, VulkanFacts } from "./facts.ts";

/** Parts of a build that can be left out: two back-ends, and Intel's matrix unit. */
export const OPTIONAL = ["cuda", "vulkan", "amx"] as const;
export type Optional = (typeof OPTIONAL)[number];
export function isOptional(part: string): part is Optional {
  return OPTIONAL.some((one) => one === part);
}

/** Why a part is not built. `serious`: the hardware for it is there, so that speed is lost. */
export interface Refusal {
  readonly part: Optional;
  readonly because: string;
  readonly evidence: string;
  readonly serious: boolean;
  /** What would make it possible, as a command. */
  readonly fix?: readonly string[];
}

/** What a build is made with. */
export interface Choice {
  readonly backends: readonly Backend[];
  readonly refused: readonly Refusal[];
  readonly amx: boolean;
  /** What the compiler or the source gets wrong for this processor, and is put right. */
  readonly workarounds: readonly Workaround[];
  readonly cuda?: {
    /** e.g. ["61"]: pinned, because "native" needs the card to be there while building. */
    readonly architectures: readonly string[];
    /** Absolute path of the C++ compiler that nvcc is given, where the default one is too new for it. */
    readonly hostCompiler?: string;
  };
}

/** What the choice is made from. */
export interface ChoiceFacts {
  readonly toolchain: Toolchain;
  readonly isa: readonly string[];
  readonly graphics: readonly GraphicsFacts[];
  readonly cuda: CudaFacts;
  readonly vulkan: VulkanFacts;
  /** Parts whose build failed its proof on this very host, with the reason. */
  readonly rejected: { readonly [part: string]: string };
}

/** What the operator asked for. */
export interface Asked {
  readonly with: readonly string[];
  readonly without: readonly string[];
}

/** A flag's list: "cuda,amx" -> both; what is no text: []. */
export function wishes(value: Args[string]): readonly string[] {
  if (typeof value !== "string") return [];
  return value
    .split(",")
    .map((one) => one.trim().toLowerCase())
    .filter((one) => one !== "");
}

/** What --with and --without take, for a value that names something else. */
export function onlyParts(value: string): string | undefined {
  const known = wishes(value).every((one) => one === "auto" || isOptional(one));
  return known ? undefined : `known are ${OPTIONAL.join(", ")}, and auto for "as the facts say"`;
}

/** Chooses. The CPU's own back-end is always built, for this very CPU. */
export function chooseBackends(facts: ChoiceFacts, asked: Asked): Choice {
  const cuda = judge("cuda", facts, asked, judgeCuda);
  const vulkan = judge("vulkan", facts, asked, (one) =>
    judgeVulkan(one, asked, !("refusal" in cuda)),
  );
  const amx = judge("amx", facts, asked, judgeAmx);
  const refused = [cuda, vulkan, amx].flatMap((one) => ("refusal" in one ? [one.refusal] : []));
  return {
    backends: [
      "cpu",
      ...("refusal" in cuda ? [] : (["cuda"] as const)),
      ...("refusal" in vulkan ? [] : (["vulkan"] as const)),
    ],
    refused,
    amx: !("refusal" in amx),
    workarounds: [
      ...(!("refusal" in amx) && facts.toolchain.compiler?.amx === "miscompiled"
        ? (["amx-tile-config"] as const)
        : []),
      ...(facts.isa.includes("avx512f") ? (["avx512-alignment"] as const) : []),
    ],
    ...("cuda" in cuda ? { cuda: cuda.cuda } : {}),
  };
}

type Verdict =
  | { readonly refusal: Refusal }
  | { readonly cuda: NonNullable<Choice["cuda"]> }
  | { readonly fine: true };

function judge(
  part: Optional,
  facts: ChoiceFacts,
  asked: Asked,
  how: (facts: ChoiceFacts) => Verdict,
): Verdict {
  if (asked.without.includes(part)) {
    return refuse(part, "you asked to leave it out", `--without ${part}`, false);
  }
  const rejected = facts.rejected[part];
  if (rejected !== undefined && !asked.with.includes(part)) {
    return refuse(part, `its build failed the smoke test here: ${rejected}`, "the last try", true, [
      "03_build_llama_cpp",
      "--with",
      part,
    ]);
  }
  return how(facts);
}

/** Compute capabilities that CUDA compiles for, by the version from which that holds (NVIDIA's CUDA release notes and nvcc's list of GPUs). */
const CUDA_SERVES: readonly { since: number; oldest: number; newest: number }[] = [
  { since: 11.8, oldest: 3.5, newest: 9.0 },
  { since: 12.0, oldest: 5.0, newest: 9.0 },
  { since: 12.8, oldest: 5.0, newest: 12.1 },
  { since: 13.0, oldest: 7.5, newest: 12.1 },
];
/** Driver branches that can run what a CUDA major version made (NVIDIA's minor-version compatibility table). */
const CUDA_DRIVER: Readonly<Record<number, number>> = { 11: 450, 12: 525, 13: 580 };
/** The first driver branch without Maxwell, Pascal and Volta. */
const DRIVER_WITHOUT_PASCAL = 590;

/** Newest GCC that nvcc accepts as host compiler, by CUDA version (NVIDIA's installation guide for Linux, "host compiler support policy"). */
const NEWEST_GCC: readonly (readonly [cuda: number, gcc: number])[] = [
  [11.8, 11],
  [12.0, 12],
  [12.4, 13],
  [12.8, 14],
  [13.0, 15],
];

function judgeCuda(facts: ChoiceFacts): Verdict {
  const card = facts.graphics.find((one) => one.vendor === "nvidia");
  if (!card) return refuse("cuda", "there is no NVIDIA card", "PCI devices of class 03", false);
  const { nvcc, driver } = facts.cuda;
  const where = `${card.id} at ${card.address}`;
  const capability = card.computeCapability;
  const family = capability === undefined ? undefined : nvidiaArchitecture(capability);
  const branch = driver === undefined ? undefined : Number.parseInt(driver, 10);
  const old = capability !== undefined && Number(capability) < 7.5;
  if (old && branch !== undefined && branch >= DRIVER_WITHOUT_PASCAL) {
    return refuse(
      "cuda",
      `driver ${driver} no longer serves ${family ?? capability}: 580 is the last branch that does`,
      where,
      true,
      ["apt-mark", "hold", "nvidia-driver"],
    );
  }
  if (driver === undefined) {
    return refuse(
      "cuda",
      "its driver is not loaded, so that what is built could not be proven",
      `nvidia-smi for ${where}`,
      true,
      ["01_validate_prereqs"],
    );
  }
  if (!nvcc) {
    return refuse("cuda", "the CUDA compiler nvcc is missing", "not found on the PATH", true, [
      "apt-get",
      "install",
      "-y",
      "nvidia-cuda-toolkit",
    ]);
  }
  if (capability === undefined) {
    return refuse("cuda", "the card's compute capability is unknown", where, true);
  }
  const version = Number(/^\d+\.\d+/.exec(nvcc.version)?.[0] ?? 0);
  const major = Math.floor(version);
  const found = `nvcc ${nvcc.version} at ${nvcc.path}`;
  if (version < 11.8) {
    return refuse(
      "cuda",
      `CUDA ${nvcc.version} is too old for llama.cpp: 11.8 is the oldest that is known to work`,
      found,
      true,
    );
  }
  const served = CUDA_SERVES.findLast(({ since }) => version >= since);
  if (served && Number(capability) < served.oldest) {
    return refuse(
      "cuda",
      `CUDA ${major} no longer compiles for ${family ?? "this card"} (compute capability ${capability}): it needs 11.8 to 12.x`,
      found,
      true,
      ["01_validate_prereqs"],
    );
  }
  if (served && Number(capability) > served.newest) {
    return refuse(
      "cuda",
      `CUDA ${nvcc.version} does not know compute capability ${capability} yet`,
      found,
      true,
    );
  }
  const needs = CUDA_DRIVER[major];
  if (needs !== undefined && branch !== undefined && branch < needs) {
    return refuse(
      "cuda",
      `driver ${driver} is too old for CUDA ${major}: it needs branch ${needs}`,
      found,
      true,
    );
  }
  const architectures = [capability.replace(".", "")];
  const newest = NEWEST_GCC.findLast(([cuda]) => version >= cuda)?.[1] ?? 11;
  const { compiler, hostCompilers } = facts.toolchain;
  if (compiler && compiler.major <= newest) return { cuda: { architectures } };
  const host = hostCompilers
    .filter((one) => one.major <= newest)
    .toSorted((a, b) => b.major - a.major)[0];
  if (host) return { cuda: { architectures, hostCompiler: host.path } };
  return refuse(
    "cuda",
    `CUDA ${nvcc.version} takes GCC ${newest} at most as host compiler, and none is here`,
    found,
    true,
    ["apt-get", "install", "-y", `g++-${newest}`],
  );
}

/** Debian's packages that a Vulkan build needs. */
export const VULKAN_PACKAGES = ["glslc", "libvulkan-dev", "spirv-headers"] as const;

function judgeVulkan(facts: ChoiceFacts, asked: Asked, cuda: boolean): Verdict {
  const { vulkan, graphics } = facts;
  const wanted = asked.with.includes("vulkan");
  const real = graphics.length > 0 && !vulkan.softwareOnly;
  const no = (because: string, evidence: string, fix?: readonly string[]) =>
    refuse("vulkan", because, evidence, real && !cuda, fix);
  if (!real && !wanted) {
    return graphics.length > 0
      ? no("the only Vulkan driver here computes on the CPU", vulkan.drivers.join(", "))
      : no("there is no graphics processor", "PCI devices of class 03");
  }
  if (cuda && !wanted) return no("CUDA serves the same card faster", "the CUDA back-end is built");
  if (vulkan.drivers.length === 0) {
    return no("no Vulkan driver is installed", "/usr/share/vulkan/icd.d", [
      "apt-get",
      "install",
      "-y",
      "mesa-vulkan-drivers",
    ]);
  }
  const { glslc } = vulkan;
  if (glslc && !glslc.coopmat) {
    return no(
      `its shader compiler glslc ${glslc.version} is too old: it lacks cooperative matrices (coopmat), without which one of llama.cpp's shaders does not compile; Debian 13 and Kali have a newer one`,
      `a test shader through ${glslc.path}`,
    );
  }
  const missing = [
    ...(glslc ? [] : ["glslc"]),
    ...(vulkan.headers ? [] : ["libvulkan-dev"]),
    ...(vulkan.spirv ? [] : ["spirv-headers"]),
  ];
  if (missing.length === 0) return { fine: true };
  return no(
    `what it is built with is missing: ${missing.join(", ")}`,
    "looked for on the PATH and in /usr",
    ["apt-get", "install", "-y", ...missing],
  );
}

function judgeAmx(facts: ChoiceFacts): Verdict {
  if (!facts.isa.includes("amx_int8")) {
    return refuse("amx", "this CPU has no matrix unit", "/proc/cpuinfo", false);
  }
  const { compiler } = facts.toolchain;
  if (compiler?.amx !== "none") return { fine: true };
  return refuse("amx", `GCC ${compiler.version} does not know it`, compiler.path, true);
}

function refuse(
  part: Optional,
  because: string,
  evidence: string,
  serious: boolean,
  fix?: readonly string[],
): { refusal: Refusal } {
  return { refusal: { part, because, evidence, serious, ...(fix ? { fix } : {}) } };
}
