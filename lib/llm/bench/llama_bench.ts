/** llama-bench: its command line for a profile, and its JSON. */
import { basename, dirname } from "node:path";
import { ShelterError } from "../../errors.ts";
import type { CallContext } from "../../unit.ts";
import { ENGINE_ENVIRONMENT } from "../launch.ts";
import { asOwner } from "../as_owner.ts";
import type { Profile, ServedModel, ServingBuild } from "../settings.ts";
import { cpuMask, FIT_TARGET, sharedArguments } from "../profile_form.ts";
import type { LoadSize } from "./results.ts";
import { stat, type Stat } from "./stats.ts";

/** What one call of llama-bench gave: tokens per second, a sample per repetition. */
export interface BenchFigures {
  readonly prompt: Stat;
  readonly generation: Stat;
}

/** Arguments of llama-bench (v0.5.0) for a profile. It has no speculation, slots or context: those are the server's alone. */
export function benchArguments(
  model: string,
  profile: Profile,
  load: LoadSize,
  repetitions: number,
): string[] {
  return [
    "--model",
    model,
    "--n-prompt",
    String(load.prompt),
    "--n-gen",
    String(load.generate),
    "--repetitions",
    String(repetitions),
    "--threads",
    String(profile.threads),
    ...(profile.cpus.length > 0 ? ["--cpu-mask", cpuMask(profile.cpus), "--cpu-strict", "1"] : []),
    ...sharedArguments(profile),
    ...(profile.gpuLayers === "fit"
      ? ["--fit-target", FIT_TARGET]
      : ["--n-gpu-layers", String(profile.gpuLayers)]),
    ...(profile.gpuLayers === 0 ? ["--device", "none"] : []),
    "--offline",
    "--output",
    "json",
  ];
}

/** Reads `llama-bench -o json` (v0.5.0): one entry per test, with the speed of each repetition. Undefined where a test is missing. */
export function parseBench(text: string): BenchFigures | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const tests = value as readonly Readonly<Record<string, unknown>>[];
  const speeds = (isIt: (prompt: number, generate: number) => boolean) => {
    const found = tests.find((one) => isIt(Number(one?.["n_prompt"]), Number(one?.["n_gen"])));
    const samples: unknown = found?.["samples_ts"];
    if (!Array.isArray(samples) || samples.length === 0) return undefined;
    const numbers = samples.filter(
      (one): one is number => typeof one === "number" && Number.isFinite(one) && one > 0,
    );
    return numbers.length === samples.length ? stat(numbers) : undefined;
  };
  const prompt = speeds((p, n) => p > 0 && n === 0);
  const generation = speeds((p, n) => p === 0 && n > 0);
  if (!prompt || !generation) return undefined;
  return { prompt, generation };
}

/**
 * Runs llama-bench once.
 * @throws ShelterError "bench-failed" with its last words; "bench-unreadable" where it ended well without figures.
 */
export async function runBench(
  context: CallContext,
  build: ServingBuild,
  model: Pick<ServedModel, "name" | "path">,
  profile: Profile,
  load: LoadSize,
  repetitions: number,
): Promise<BenchFigures> {
  const { probe, act, signal } = context;
  const as = asOwner(probe, act);
  const ran = await act.run(
    [
      ...as.argv,
      act.real(build.program("llama-bench")),
      // by its name alone: llama-bench takes a comma for the border between two models, and a folder may hold one
      ...benchArguments(basename(model.path), profile, load, repetitions),
    ],
    { signal, env: { ...ENGINE_ENVIRONMENT, ...as.env }, cwd: dirname(model.path) },
  );
  signal.throwIfAborted();
  if (ran.code !== 0) {
    const words = ran.stderr.trim().split("\n").slice(-3).join(" | ");
    throw new ShelterError(
      "bench-failed",
      `measuring ${model.name} with llama-bench`,
      `it ended with code ${ran.code}: ${words === "" ? "it said nothing" : words}`,
      ["./bin/03_build_llama_cpp", "--verify"],
    );
  }
  const figures = parseBench(ran.stdout);
  if (figures) return figures;
  throw new ShelterError(
    "bench-unreadable",
    `measuring ${model.name} with llama-bench`,
    "it ended well, but what it printed holds no figures",
    ["./bin/03_build_llama_cpp", "--verify"],
  );
}
