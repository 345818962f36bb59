/** The laws on 04_llm_benchmark, over worlds with other builds, models, histories and wishes. Tuning is timed for real: tests/engine. */
import * as fc from "fast-check";
import { BUILD_A, BUILD_B, benchMachine, QUICK, steadyBenchmark } from "../support/bench_world.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";

const worlds = fc
  .record({
    builds: fc.constantFrom([BUILD_A], [BUILD_A, BUILD_B], [BUILD_B, BUILD_A]),
    models: fc.constantFrom(["tiny"], ["tiny", "tiny-again"]),
    root: fc.boolean(),
    generation: fc.integer({ min: 5, max: 500 }),
    scaffolded: fc.boolean(),
    again: fc.boolean(),
  })
  .map(({ builds, models, root, generation, scaffolded, again }): LawWorld => {
    const [live = BUILD_A] = builds;
    return {
      machine: benchMachine({
        builds,
        models,
        root,
        speeds: { [live]: { prompt: generation * 4, generation } },
        files: scaffolded
          ? { [`${FAKE_HOME}/runtime/bench/testhost`]: { folder: true, mode: 0o700 } }
          : {},
      }),
      want: { ...QUICK, ...(again ? { again: true } : {}) },
    };
  });

lawsOf(steadyBenchmark, worlds, {
  runs: 10,
  timeout: 120_000,
  mayDrop: (step) =>
    step.do === "set" ? "the governor is set for the time of measuring alone" : undefined,
});
