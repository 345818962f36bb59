/** What a host itself lacks: shader compiler, instruction set, memory, disk. Pure. */
import { compareVersions, upstreamOf } from "../facts/versions.ts";
import { bytes } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import type { PrereqFacts } from "./facts.ts";
import { featureOf } from "./features.ts";

/** Newest shaderc that was seen to lack cooperative matrices, and oldest seen to have them; both were run. */
const GLSLC_LACKS = "2023.2";

/** A shader compiler that can't build what the engine needs. */
export function glslcFindings(facts: PrereqFacts): readonly Finding[] {
  const asked = facts.asked.includes("vulkan");
  const { glslc } = facts;
  if (glslc && !glslc.coopmat) {
    return [
      {
        id: "glslc-too-old",
        level: asked ? "fail" : "info",
        what: `glslc${glslc.version === undefined ? "" : ` ${glslc.version}`} can't compile the engine's Vulkan shaders`,
        why: "one flash-attention shader needs cooperative matrices; Debian 12's glslc (2023.2) lacks them, that of trixie and Kali has them",
        evidence: `given a shader that asks for GL_KHR_cooperative_matrix it said: ${glslc.said}`,
        fix: ["apt-cache", "policy", "glslc"],
      },
    ];
  }
  const candidate = facts.apt.wanted["glslc"]?.candidate;
  if (
    !asked ||
    glslc ||
    candidate === undefined ||
    compareVersions(upstreamOf(candidate), GLSLC_LACKS) > 0
  )
    return [];
  return [
    {
      id: "offered-glslc-too-old",
      level: "fail",
      what: `apt would install glslc ${upstreamOf(candidate)}, which can't compile the engine's Vulkan shaders`,
      why: "one flash-attention shader needs cooperative matrices; that of trixie and Kali has them",
      evidence: "apt-cache policy glslc",
      fix: ["apt-cache", "madison", "glslc"],
    },
  ];
}

/** Too little processor, memory or disk. */
export function hostFindings(facts: PrereqFacts): readonly Finding[] {
  const { cpu, memory, disk, asked } = facts;
  const found: Finding[] = [];
  const features = asked.map(featureOf);
  if (cpu.avx2 === false) {
    found.push({
      id: "no-avx2",
      level: "warn",
      what: `the processor${cpu.model === undefined ? "" : ` (${cpu.model})`} has no AVX2`,
      why: "the engine is built for what it has, and is several times slower; of our own binaries only the baseline target runs here",
      evidence: "/proc/cpuinfo, flags",
      fix: ["nano", "shared.cfg"],
    });
  } else if (cpu.architecture === "x64" && cpu.avx2 === undefined) {
    found.push({
      id: "no-avx2",
      level: "unknown",
      what: "whether the processor has AVX2 is not known",
      why: "the speed of prompts hangs on it",
      evidence: "/proc/cpuinfo",
    });
  }
  if (memory) {
    for (const { id, memory: wanted } of features.filter(
      (feature) => memory.total < feature.memory,
    )) {
      found.push({
        id: `memory:${id}`,
        level: "warn",
        what: `${bytes(memory.total)} of RAM are little for ${id}`,
        why: `${bytes(wanted)} are wanted; below that the kernel may kill it`,
        evidence: "/proc/meminfo, MemTotal",
        fix: ["free", "-h"],
      });
    }
  } else
    found.push({
      id: "memory",
      level: "unknown",
      what: "the size of the RAM could not be read",
      why: "what fits hangs on it",
      evidence: "/proc/meminfo",
    });
  const wanted = features.reduce((sum, feature) => sum + feature.disk, 0);
  if (disk && disk.free < wanted) {
    found.push({
      id: "disk",
      level: "warn",
      what: `${bytes(disk.free)} are free, and ${asked.join(", ")} may take ${bytes(wanted)}`,
      why: "what is done already is counted too; the rest stops when the disk is full, and goes on from there",
      evidence: "free space of the home's file system",
      fix: ["df", "-h"],
    });
  }
  if (asked.includes("agents") && facts.pipManagedOutside) {
    found.push({
      id: "pip-managed-outside",
      level: "info",
      what: "pip may not install into the system's Python here",
      why: "agents get environments of their own, so nothing of ours wants to (PEP 668)",
      evidence: "EXTERNALLY-MANAGED",
    });
  }
  return found;
}
