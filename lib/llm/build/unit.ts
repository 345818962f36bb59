/** The unit of 03_build_llama_cpp, over the files that it trusts. */
import type { Unit } from "../../unit.ts";
import { onlyParts } from "./backends.ts";
import type { BuildFacts } from "./facts.ts";
import { buildEngine, discardEngine } from "./install.ts";
import { diagnoseBuild } from "./judge.ts";
import { observeBuild } from "./observe.ts";
import type { Pins } from "./pins.ts";
import { isJobs, planBuild } from "./planning.ts";
import { proveEngine } from "./prove.ts";
import { digestBuild, matters, pictureBuild } from "./show.ts";
import { fetchSource } from "./source.ts";
import { unaskedBuild } from "./unasked.ts";

/** Builds llama.cpp from the pinned source, and proves it with the pinned reference. */
export function buildUnit(pins: Pins): Unit<BuildFacts> {
  return {
    id: "03_build_llama_cpp",
    flag: "llama_cpp_built",
    summary: "Build llama.cpp for this very machine, prove it, and put it live",
    needs: {},
    flags: {
      with: {
        type: "string",
        description:
          "Parts to build although the facts speak against it (vulkan, cuda, amx); auto forgets earlier wishes",
        valueHint: "part,part",
        wants: onlyParts,
      },
      without: {
        type: "string",
        description: "Parts to leave out (vulkan, cuda, amx)",
        valueHint: "part,part",
        wants: onlyParts,
      },
      jobs: {
        type: "string",
        description: "Files to compile at once; else as many as cores and memory allow",
        valueHint: "number",
        wants: (value) => (isJobs(value) ? undefined : "it takes a number from 1 to 1024"),
      },
    },
    observe: (probe, want) => observeBuild(probe, want, pins),
    diagnose: diagnoseBuild,
    plan: planBuild,
    calls: {
      fetch_source: fetchSource,
      build_engine: buildEngine,
      discard_engine: discardEngine,
      prove_engine: proveEngine(pins.reference),
    },
    unasked: unaskedBuild,
    fingerprint: matters,
    digest: digestBuild,
    picture: pictureBuild,
  };
}
