/** What is to be done so that the right build is live: pure, from facts. */
import { inHome } from "../../keep/home.ts";
import type { Args, Json, Step } from "../../unit.ts";
import { liveLink, proofPath } from "../builds.ts";
import type { BuildFacts, GenerationFacts } from "./facts.ts";
import type { BuildArguments } from "./install.ts";
import { jobsFor, type Recipe, recipeOf } from "./recipe.ts";
import { sourceCopy, upstreamCopy } from "./source.ts";

/** What stands between the facts and a live build. */
export interface Pending {
  readonly recipe: Recipe;
  /** The wanted build, where it is there. */
  readonly wanted?: GenerationFacts | undefined;
  readonly build: boolean;
  readonly prove: boolean;
  readonly link: boolean;
}

/** What is pending; undefined where no compiler can tell what to build. */
export function pending(facts: BuildFacts): Pending | undefined {
  const recipe = recipeOf(facts);
  if (!recipe) return undefined;
  const wanted = facts.generations.find((one) => one.id === recipe.id);
  const build = !wanted || wanted.damage !== undefined;
  return {
    ...{ recipe, wanted, build },
    prove: build || wanted.proof === undefined,
    link: facts.live !== recipe.id,
  };
}

/** Programs that a build needs and that are not there, each with Debian's package. */
export function missingTools({ toolchain }: BuildFacts): readonly (readonly [string, string])[] {
  const { compiler, cmake, git, generator } = toolchain;
  return [
    ...(compiler ? [] : [["g++", "g++"] as const]),
    ...(cmake === undefined ? [["cmake", "cmake"] as const] : []),
    ...(git === undefined ? [["git", "git"] as const] : []),
    ...(generator ? [] : [["ninja", "ninja-build"] as const]),
  ];
}

/** The steps; [] when the live build is the right one, whole and proven, and no older ones are too many. */
export function planBuild(facts: BuildFacts, want: Args): readonly Step[] {
  const open = pending(facts);
  if (!open || (open.build && missingTools(facts).length > 0)) return [];
  const { recipe, wanted } = open;
  const folder = inHome.engines(facts.home, recipe.id);
  const { model } = facts;
  return [
    ...(wanted?.damage === undefined ? [] : [aside(facts, wanted)]),
    // a damaged copy is replaced also when nothing is built: the next build may be far from any network
    ...(facts.source.state === "damaged" || (open.build && facts.source.state === "absent")
      ? [fetchStep(facts)]
      : []),
    ...(open.build ? [buildStep(facts, want, recipe)] : []),
    ...(open.prove && !model.there ? [fetchModel(facts)] : []),
    ...(open.prove
      ? [
          {
            do: "call",
            name: "prove_engine",
            args: { id: recipe.id, name: model.name, path: model.path, sha256: model.sha256 },
            undo: { restore: [proofPath(folder)] },
          } as const,
        ]
      : []),
    ...(open.link
      ? [{ do: "link", path: liveLink(facts.home), target: recipe.id, why: "goes live" } as const]
      : []),
    ...superseded(facts, recipe.id).map(
      (id) =>
        ({
          do: "remove",
          path: inHome.engines(facts.home, id),
          why: "older than what is kept",
        }) as const,
    ),
  ];
}

function aside(facts: BuildFacts, wanted: GenerationFacts): Step {
  return {
    do: "move",
    from: inHome.engines(facts.home, wanted.id),
    to: facts.quarantine,
    why: wanted.damage ?? "damaged",
  };
}

function fetchStep({ home, source }: BuildFacts): Step {
  const { from, sha256, bytes, state } = source;
  return {
    do: "call",
    name: "fetch_source",
    args: { from: from as unknown as Json, sha256, bytes },
    undo: { restore: [sourceCopy(home), upstreamCopy(home)] },
    ...(state === "damaged" ? { why: "the home's copy is damaged" } : {}),
  };
}

function buildStep(facts: BuildFacts, want: Args, recipe: Recipe): Step {
  const { toolchain } = facts;
  const { id, backends, flags, inputs } = recipe;
  const asked = Number(want["jobs"]);
  const args: BuildArguments = {
    ...{ id, backends, flags, inputs },
    workarounds: recipe.choice.workarounds,
    asked: facts.asked,
    generator: toolchain.generator?.name ?? "Ninja",
    jobs: jobsFor(facts, backends, isJobs(want["jobs"]) ? asked : undefined),
    ccache: toolchain.ccache ?? null,
  };
  return {
    do: "call",
    name: "build_engine",
    args: args as unknown as Readonly<Record<string, Json>>,
    undo: { by: "discard_engine" },
    why: backends.join(", "),
  };
}

function fetchModel({ model }: BuildFacts): Step {
  const { from, path: to, sha256, bytes } = model;
  return { do: "fetch", from, to, sha256, bytes, why: "the model that a build is proven with" };
}

/** Builds beyond what is kept: the wanted one stays, and of the others those that were proven last, as the way back. */
export function superseded(facts: BuildFacts, wanted: string): readonly string[] {
  return facts.generations
    .filter((one) => one.id !== wanted)
    .toSorted((a, b) => (b.proof?.at ?? "").localeCompare(a.proof?.at ?? ""))
    .slice(Math.max(0, facts.retention - 1))
    .map((one) => one.id);
}

/** True for a number of jobs that makes sense. */
export function isJobs(value: Args[string]): boolean {
  const jobs = Number(value);
  return value !== undefined && value !== "" && Number.isInteger(jobs) && jobs >= 1 && jobs <= 1024;
}
