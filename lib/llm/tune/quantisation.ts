/** Whether the file's quantisation is the slow part on this processor: measured on the same weights in others. */
import type { CallContext } from "../../unit.ts";
import { asOwner } from "../as_owner.ts";
import { inHome } from "../../keep/home.ts";
import { runBench, type BenchFigures } from "../bench/llama_bench.ts";
import type { LoadSize } from "../bench/results.ts";
import { stat } from "../bench/stats.ts";
import type { Profile, ServedModel, ServingBuild } from "../settings.ts";
import type { QuantisationFigures, QuantisationSpeed } from "../tuned.ts";

/** Types without repacked kernels on x86 and ARM (ggml-cpu/repack.cpp, v0.5.0), for which a type of about the same size has them. */
const WITHOUT_KERNELS: ReadonlySet<string> = new Set(["Q4_1", "Q5_0", "Q5_1"]);
/** What the same weights are tried as: the fast four-bit type, and the one that loses least. */
const OTHERS = ["Q4_0", "Q8_0"] as const;

const LOAD: LoadSize = { prompt: 128, generate: 32 };
const TURNS = 3;

/** Pure: whether measuring it can say anything. A GPU has kernels for all of them. */
export function isSuspect(quantisation: string | undefined, profile: Profile): boolean {
  return quantisation !== undefined && WITHOUT_KERNELS.has(quantisation) && profile.gpuLayers === 0;
}

/**
 * Quantises the file again into the work folder, measures both in turns, and removes the copies. Undefined where it can't be done: no room, or no
 * llama-quantize in the build.
 */
export async function measureQuantisation(
  context: CallContext,
  build: ServingBuild,
  model: ServedModel,
  profile: Profile,
): Promise<QuantisationFigures | undefined> {
  const { probe, act, say, signal } = context;
  const folder = inHome.work(probe.home, "requantised", model.sha256.slice(0, 16));
  const room = probe.space(probe.home)?.free ?? 0;
  const program = build.program("llama-quantize");
  // Q8_0 of a file of four bits takes about twice its size; both copies stand at once
  if (probe.stat(program) === undefined || room < 4 * model.bytes) return undefined;
  act.makeFolder(folder);
  const as = asOwner(probe, act);
  try {
    const files: { readonly type: string; readonly path: string; readonly bytes: number }[] = [];
    for (const type of OTHERS) {
      const path = `${folder}/${type}.gguf`;
      const ran = await act.run(
        [
          ...as.argv,
          act.real(program),
          "--allow-requantize",
          act.real(model.path),
          act.real(path),
          type,
        ],
        { signal, env: as.env },
      );
      signal.throwIfAborted();
      const made = probe.stat(path);
      if (ran.code !== 0 || !made) {
        say.detail({ requantise: type, code: ran.code });
        continue;
      }
      files.push({ type, path, bytes: made.size });
    }
    const own = { type: model.head?.quantisation ?? "", path: model.path, bytes: model.bytes };
    const all = [own, ...files];
    const figures = new Map<string, BenchFigures[]>(all.map(({ type }) => [type, []]));
    for (let turn = 0; turn < TURNS; turn++) {
      for (const { type, path } of all) {
        const one = { name: `${model.name} as ${type}`, path };
        figures.get(type)?.push(await runBench(context, build, one, profile, LOAD, 1));
      }
    }
    const speeds = all.map(({ type, bytes }): QuantisationSpeed => {
      const of = figures.get(type) ?? [];
      return {
        type,
        bytes,
        prompt: stat(of.map((one) => one.prompt.median)),
        generation: stat(of.map((one) => one.generation.median)),
      };
    });
    const [mine, ...others] = speeds;
    return mine && others.length > 0 ? { own: mine, others } : undefined;
  } finally {
    act.remove(folder);
  }
}
