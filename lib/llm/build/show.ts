/** What a report and the status file show of a build: pure, from facts. */
import type { Json } from "../../unit.ts";
import type { BuildFacts } from "./facts.ts";
import { pending } from "./planning.ts";

/** The facts that another script, or a person, wants to see of this one. */
export function digestBuild(facts: BuildFacts): Json {
  const live = facts.generations.find((one) => one.id === facts.live);
  const recipe = pending(facts)?.recipe;
  return {
    live: facts.live ?? null,
    wanted: recipe?.id ?? null,
    backends: live?.info.backends ?? [],
    refused: Object.fromEntries(
      (recipe?.choice.refused ?? []).map((one) => [one.part, one.because]),
    ),
    source: { tag: live?.info.tag ?? null, copy: facts.source.state },
    compiler: facts.toolchain.compiler?.text ?? null,
    architecture: facts.toolchain.compiler?.architecture ?? null,
    cpu: { model: facts.cpu.model, isa: [...facts.cpu.isa] },
    builds: facts.generations.map(({ id, info, proof, damage }) => ({
      ...{ id, tag: info.tag, backends: [...info.backends], started: info.started },
      took_ms: info.took_ms,
      proven: proof?.at ?? null,
      damage: damage ?? null,
    })),
  };
}

/** Freshness hangs on what decides a build and on which one is live. */
export function matters(facts: BuildFacts): Json {
  return { live: facts.live ?? null, wanted: pending(facts)?.recipe.id ?? null };
}

/** One line a build, the live one marked. */
export function pictureBuild(facts: BuildFacts): readonly string[] {
  return facts.generations.map(({ id, info, proof, damage }) => {
    const mark = id === facts.live ? "->" : "  ";
    const minutes = (info.took_ms / 60_000).toFixed(1);
    const state = damage ?? (proof ? `proven ${proof.at.slice(0, 16)}Z` : "not proven");
    return `${mark} ${id}  ${info.tag}  ${info.backends.join("+")}  built ${info.started.slice(0, 16)}Z in ${minutes} min  ${state}`;
  });
}
