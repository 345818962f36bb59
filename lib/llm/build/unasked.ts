/** What nobody asked about: pure, from facts. */
import type { Finding, History } from "../../unit.ts";
import { VULKAN_PACKAGES } from "./backends.ts";
import type { BuildFacts } from "./facts.ts";
import { install } from "./judge.ts";
import { pending } from "./planning.ts";

/** Debian releases whose glslc is too old for a Vulkan build. */
const OLD_GLSLC: Readonly<Record<string, readonly string[]>> = { debian: ["11", "12"] };

/** Ranked: what gains most first. */
export function unaskedBuild(facts: BuildFacts, history: History): readonly Finding[] {
  return [
    ...vulkanWouldHelp(facts),
    ...newerCompiler(facts),
    ...otherGenerations(facts),
    ...noCcache(facts, history),
  ];
}

/** An integrated GPU that only lacks packages. */
function vulkanWouldHelp(facts: BuildFacts): readonly Finding[] {
  const card = facts.graphics.find((one) => one.vendor === "intel" || one.vendor === "amd");
  const { glslc, headers, spirv } = facts.vulkan;
  const lacksOnlyPackages = !glslc || (glslc.coopmat && !(headers && spirv));
  const offered = !OLD_GLSLC[facts.os.id]?.includes(facts.os.version ?? "") || glslc?.coopmat;
  if (!card || !lacksOnlyPackages || !offered || facts.asked.without.includes("vulkan")) return [];
  const drivers = facts.vulkan.drivers.length > 0 ? [] : ["mesa-vulkan-drivers"];
  return [
    {
      id: "vulkan-would-help",
      level: "info",
      what: `the graphics processor ${card.id} could read prompts`,
      why: "on integrated GPUs Vulkan is often faster than the CPU at prompts, and slower at answers: the benchmark then measures both",
      evidence: card.address,
      fix: install(facts, [...VULKAN_PACKAGES, ...drivers]),
    },
  ];
}

/** A newer compiler that lies beside the default one. */
function newerCompiler(facts: BuildFacts): readonly Finding[] {
  const { compiler, hostCompilers } = facts.toolchain;
  const newest = Math.max(0, ...hostCompilers.map((one) => one.major));
  if (!compiler || newest <= compiler.major) return [];
  return [
    {
      id: "newer-compiler",
      level: "info",
      what: `GCC ${newest} is installed, and GCC ${compiler.major} builds the engine`,
      why: "a newer compiler knows newer instructions of this CPU",
      evidence: hostCompilers.map((one) => one.path).join(", "),
      fix: [
        ...(facts.root ? [] : ["sudo"]),
        ...[
          "update-alternatives",
          "--install",
          "/usr/bin/g++",
          "g++",
          `/usr/bin/g++-${newest}`,
          "100",
        ],
      ],
    },
  ];
}

/** Disk that builds take which are neither live nor the way back. */
function otherGenerations(facts: BuildFacts): readonly Finding[] {
  const unproven = facts.generations.filter(
    (one) => one.id !== facts.live && one.proof === undefined && one.damage === undefined,
  );
  if (unproven.length === 0) return [];
  return [
    {
      id: "unproven-build-kept",
      level: "info",
      what: `${unproven.map((one) => one.id).join(", ")} was built and never proven`,
      why: "going back to it would first take a smoke test",
      evidence: "no proof.json in it",
    },
  ];
}

/** Rebuilds are minutes without ccache, and seconds with it. */
function noCcache(facts: BuildFacts, history: History): readonly Finding[] {
  if (facts.toolchain.ccache !== undefined || !facts.toolchain.compiler) return [];
  const built = history.runs.filter((run) => run.outcome === "changed").length;
  const live = facts.generations.find((one) => one.id === facts.live);
  if (built === 0 && !pending(facts)?.build) return [];
  const took = live ? ` (the last one took ${Math.round(live.info.took_ms / 60_000)} min)` : "";
  return [
    {
      id: "no-ccache",
      level: "info",
      what: "ccache is not installed",
      why: `with it, building again after an update of compiler or source takes a fraction of the time${took}`,
      evidence: "not found on the PATH",
      fix: install(facts, ["ccache"]),
    },
  ];
}
