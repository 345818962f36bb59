/** The laws on 03_build_llama_cpp, over hosts with other tools, sources, wishes and earlier builds. */
import fc from "fast-check";
import { buildUnit } from "../../lib/llm/build/unit.ts";
import { fakeEngineHost, TINY_PINS } from "../support/fake_engine.ts";
import { FAKE_HOME, type FakeFile } from "../support/fake_machine.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";

/** A build of an earlier compiler, whole and proven. */
function earlier(index: number): Record<string, FakeFile> {
  const id = `b-00000000000${index}`;
  const folder = `${FAKE_HOME}/runtime/llama.cpp/${id}`;
  const info = {
    ...{ schema: 1, id, tag: "v0.4.0", commit: "c", tree: "t", backends: ["cpu"], flags: [] },
    ...{ inputs: { compiler: "g++ 10" }, asked: { with: [], without: [] }, generator: "Ninja" },
    ...{
      jobs: 1,
      ccache: false,
      started: `2026-01-0${index}T00:00:00.000Z`,
      took_ms: 1,
      files: {},
    },
  };
  const proof = { build: id, at: info.started, model: "m", answer: "Paris.", agreed: {} };
  return {
    [`${folder}/build-info.json`]: JSON.stringify(info),
    ...(index % 2 === 0 ? {} : { [`${folder}/proof.json`]: JSON.stringify(proof) }),
    [`${folder}/bin/llama-server`]: { text: "old", mode: 0o755 },
  };
}

const worlds = fc
  .record({
    source: fc.constantFrom("node_modules", "upstream"),
    generator: fc.constantFrom("ninja", "make"),
    ccache: fc.boolean(),
    gpu: fc.boolean(),
    model: fc.constantFrom("there", "to be fetched"),
    builds: fc.integer({ min: 0, max: 4 }),
    live: fc.integer({ min: 0, max: 4 }),
    without: fc.constantFrom(undefined, "vulkan", "amx,cuda"),
    brokenCopy: fc.boolean(),
  })
  .map(({ builds, live, without, brokenCopy, ...host }): LawWorld => {
    const files: Record<string, FakeFile> = {};
    for (let index = 1; index <= builds; index++) Object.assign(files, earlier(index));
    if (live > 0) {
      files[`${FAKE_HOME}/runtime/llama.cpp/current`] = { link: `b-00000000000${live}` };
    }
    if (brokenCopy) files[`${FAKE_HOME}/runtime/llama.cpp/llama.cpp-v0.5.0.bundle`] = "torn";
    return {
      machine: fakeEngineHost({ ...host, files }),
      want: without === undefined ? {} : { without },
    };
  });

lawsOf(buildUnit(TINY_PINS), worlds, { runs: 10, timeout: 240_000 });
