/** How fast the models were over time, from the benchmark's own results: for `shelter history`. */
import { plot } from "../llm/bench/plot.ts";
import { readResults } from "../llm/bench/results.ts";
import type { Probe } from "../machine/probe.ts";
import { printable } from "../report/text.ts";
import type { Finding } from "../unit.ts";

/** One measurement: tokens per second of one request at a time, as it was served. */
export interface Speed {
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly model: string;
  readonly build: string;
  readonly prompt: number;
  readonly generation: number;
}

/** All measurements of this host, oldest first. */
export function speedsOf(probe: Probe): readonly Speed[] {
  return readResults(probe).results.flatMap(({ result }) => {
    const single = result.served.find((one) => one.concurrent === 1);
    if (!single) return [];
    const { at, build, model } = result;
    const [prompt, generation] = [single.prompt.median, single.generation.median];
    return [{ at, build, model: model.name, prompt, generation }];
  });
}

/** A plot of each model's generation speed; "a", "b" … mark where the build changed. */
export function speedLines(speeds: readonly Speed[]): readonly string[] {
  return [...new Set(speeds.map((one) => one.model))].flatMap((model) => {
    const own = speeds.filter((one) => one.model === model);
    const last = own.at(-1);
    if (!last) return [];
    const points = own.map(({ generation, build }) => ({ value: generation, group: build }));
    return [
      `${printable(model)}: generation, tokens/s; the last ${last.generation.toFixed(1)}, prompt ${last.prompt.toFixed(1)}`,
      ...(own.length > 1 ? plot(points) : []),
    ];
  });
}

/** Slower than this share of its best on another build is no noise of measuring. */
const FELL = 0.9;

/** A model that was clearly faster on an earlier build than it is on the last one: going back is one link. Pure. */
export function fallenSpeeds(speeds: readonly Speed[]): readonly Finding[] {
  return [...new Set(speeds.map((one) => one.model))].flatMap((model): readonly Finding[] => {
    const own = speeds.filter((one) => one.model === model);
    const last = own.at(-1);
    if (!last) return [];
    const before = own.filter((one) => one.build !== last.build);
    const best = before.reduce<Speed | undefined>(
      (top, one) => (top && top.generation >= one.generation ? top : one),
      undefined,
    );
    if (!best || last.generation >= FELL * best.generation) return [];
    return [
      {
        id: `slower-build-${model}`,
        level: "warn",
        what: `${model} generates ${last.generation.toFixed(1)} tokens/s on ${last.build}, and did ${best.generation.toFixed(1)} on ${best.build}`,
        why: "the earlier build was faster; where it is the last one, it is kept and going back is one link",
        evidence: `measurements of ${best.at} and ${last.at}`,
        fix: ["./bin/03_build_llama_cpp", "--undo"],
      },
    ];
  });
}
