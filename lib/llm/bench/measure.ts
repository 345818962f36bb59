/** Measuring one model on one build: warm up, llama-bench, a served load, and what the machine did meanwhile. */
import type { CallContext } from "../../unit.ts";
import type { Profile, ServedModel, ServingBuild } from "../settings.ts";
import { startServer } from "../server.ts";
import { runBench, type BenchFigures } from "./llama_bench.ts";
import type { BenchResult, LoadSize } from "./results.ts";
import { processTicks, readGpu, watchSensors } from "./sensors.ts";
import { CONCURRENT, contextFor, ROUNDS, serveLoad } from "./served_load.ts";

/** What is measured. */
export interface Subject {
  readonly build: ServingBuild;
  readonly model: ServedModel;
  readonly profile: Profile;
}

/** How it is measured. */
export interface Method {
  /** Sizes of an earlier measurement that this one is to be compared with; chosen by the machine's speed when left out. */
  readonly load?: LoadSize | undefined;
  /** Milliseconds of work before anything counts: clocks and a GPU's boost settle. */
  readonly preheat: number;
}

/** What warming up and choosing sizes is done with: small enough for the slowest machine. */
const TASTE: LoadSize = { prompt: 64, generate: 16 };
const PROMPTS = [512, 256, 128, 64] as const;
const ANSWERS = [128, 64, 32, 16] as const;
/** Seconds that one repetition of reading, and of writing, may take. */
const READ_TIME = 5;
const WRITE_TIME = 4;

/** Repetitions of llama-bench: enough for a median and a spread, and fewer where they would take longer than this many seconds. */
const REPETITIONS = { usual: 5, least: 3, within: 40 };

/** Pure: how often llama-bench repeats a load at these speeds. */
export function chooseRepetitions(
  { prompt, generation }: Pick<BenchFigures, "prompt" | "generation">,
  load: LoadSize,
): number {
  const seconds = load.prompt / prompt.median + load.generate / generation.median;
  return seconds * REPETITIONS.usual <= REPETITIONS.within ? REPETITIONS.usual : REPETITIONS.least;
}

/** Pure: the largest sizes that this machine does in the time that one repetition may take. */
export function chooseLoad({
  prompt,
  generation,
}: Pick<BenchFigures, "prompt" | "generation">): LoadSize {
  return {
    prompt: PROMPTS.find((size) => size <= prompt.median * READ_TIME) ?? TASTE.prompt,
    generate: ANSWERS.find((size) => size <= generation.median * WRITE_TIME) ?? TASTE.generate,
  };
}

/**
 * Measures once, from warm-up to the last served round. Nothing of it runs on afterwards.
 * @throws what llama-bench and the server throw, and the signal's reason.
 */
export async function measure(
  context: CallContext,
  { build, model, profile }: Subject,
  method: Method,
): Promise<BenchResult> {
  const { probe, say, signal } = context;
  const began = performance.now();
  const rounds = ROUNDS * CONCURRENT.length;
  const steps = rounds + 2;
  let done = 0;
  const step = () => say.progress(`measuring ${model.name}`, ++done, steps, "steps");
  say.progress(`measuring ${model.name}`, 0, steps, "steps");

  const taste = await warmUp(context, { build, model, profile }, method.preheat);
  const load = method.load ?? chooseLoad(taste);
  step();
  const watch = watchSensors(probe);
  const ownBefore = processTicks(probe, process.pid);
  const repetitions = chooseRepetitions(taste, load);
  const bench = await runBench(context, build, model, profile, load, repetitions);
  step();
  const server = await startServer(context, {
    build,
    model,
    profile: {
      ...profile,
      parallel: Math.max(profile.parallel, ...CONCURRENT),
      context: Math.max(profile.context, contextFor(load, profile)),
    },
  });
  try {
    const served = await serveLoad(server, load, signal, step);
    const rss = server.rss();
    const gpu = await readGpu(probe);
    const own = processTicks(probe, process.pid) - ownBefore + processTicks(probe, server.pid);
    const conditions = { ...watch.end(own), ...(gpu ? { gpu } : {}) };
    return {
      schema: 1,
      at: new Date(probe.now()).toISOString(),
      took_ms: Math.round(performance.now() - began),
      model: { name: model.name, sha256: model.sha256, bytes: model.bytes },
      build: build.id,
      profile,
      load,
      bench: { prompt: bench.prompt, generation: bench.generation },
      served,
      ...(rss ? { rss: rss.peak } : {}),
      readyMs: Math.round(server.readyMs),
      conditions,
    };
  } finally {
    watch.end();
    await server.stop();
  }
}

/** Works until `preheat` milliseconds are over, once at least: the last figures tell how fast this machine is when warm. */
async function warmUp(
  context: CallContext,
  { build, model, profile }: Subject,
  preheat: number,
): Promise<BenchFigures> {
  const began = performance.now();
  for (;;) {
    const figures = await runBench(context, build, model, profile, TASTE, 1);
    if (performance.now() - began >= preheat) return figures;
  }
}
