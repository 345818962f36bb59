/** Which build the engine's service runs, with which models and how much memory, by what stands on the host. */
import { afterEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { routerMemory, type Serving } from "../../lib/llm/router_memory.ts";
import type { Profile } from "../../lib/llm/settings.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { BenchResult } from "../../lib/llm/bench/results.ts";
import { chosenBuild, enginePort, promptSpeed } from "../../lib/services/engine_program.ts";
import { engineFolder, GIVEN_UP } from "../../lib/services/places.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";
import { SILENT } from "../support/run.ts";
import { USUAL_PROFILE } from "../support/profile.ts";
import { BUILD_A, BUILD_B, servicesMachine } from "../support/services_world.ts";

const made: FakeWorld[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.dispose();
});

describe("the build", () => {
  /** Both builds installed by root, as the home has them. */
  function probeOf(files: Readonly<Record<string, FakeFile>> = {}) {
    const machine = servicesMachine({ builds: [BUILD_A, BUILD_B] });
    const installed = Object.fromEntries(
      [BUILD_A, BUILD_B].map((id) => [
        engineFolder(id, "build-info.json"),
        machine.files?.[`${FAKE_HOME}/runtime/llama.cpp/${id}/build-info.json`] ?? "",
      ]),
    );
    const world = fakeMachine({ ...machine, files: { ...machine.files, ...installed, ...files } });
    made.push(world);
    return createProbe(world.machine, FAKE_HOME, "testhost");
  }
  const choice = { build: BUILD_A, before: BUILD_B };

  test("is the installed one that the unit names, never one in the home", () => {
    const build = chosenBuild(probeOf(), choice);
    expect([build.id, build.program("llama-server")]).toEqual([
      BUILD_A,
      engineFolder(BUILD_A, "bin/llama-server"),
    ]);
  });

  test("is the one before where that was given up, and the named one again when another was", () => {
    expect(chosenBuild(probeOf({ [GIVEN_UP]: `${BUILD_A}\n` }), choice).id).toBe(BUILD_B);
    expect(chosenBuild(probeOf({ [GIVEN_UP]: "b-000000000000\n" }), choice).id).toBe(BUILD_A);
    expect(chosenBuild(probeOf({ [GIVEN_UP]: `${BUILD_A}\n` }), { build: BUILD_A }).id).toBe(
      BUILD_A,
    );
  });

  test("that is not there, or is another one's, is refused", () => {
    const cut = { [engineFolder(BUILD_A, "build-info.json")]: "{" };
    expect(() => chosenBuild(probeOf(cut), choice)).toThrow("holds no build");
    expect(() => chosenBuild(probeOf(), { build: "b-000000000000" })).toThrow("holds no build");
  });

  test("is the home's live one for a person who names none", () => {
    expect(chosenBuild(probeOf(), {}).folder).toBe(`${FAKE_HOME}/runtime/llama.cpp/${BUILD_A}`);
  });
});

describe("the port", () => {
  const at = (files: Readonly<Record<string, FakeFile>>) => {
    const world = fakeMachine({ files });
    made.push(world);
    return enginePort({ probe: createProbe(world.machine, FAKE_HOME, "testhost"), say: SILENT });
  };
  const document = JSON.stringify({
    schema: 1,
    host: "testhost",
    listen: { address: "127.0.0.1", port: 9000, keyFile: "/key" },
    engines: [{ name: "testhost", kind: "local", url: "http://127.0.0.1:9001", keyFile: "/key" }],
  });
  const damaged = { [`${FAKE_HOME}/shared.cfg`]: "hosts: [\n" };

  test("is shared.cfg's, and where that can't be used the one that the gateway asks", async () => {
    const good = { [`${FAKE_HOME}/shared.cfg`]: "ports: { engine: 9002 }\n" };
    const asked = { [`${FAKE_HOME}/runtime/gateway.json`]: document };
    expect(await at({ ...good, ...asked })).toBe(9002);
    expect(await at({ ...damaged, ...asked })).toBe(9001);
  });

  test("is not guessed", async () => {
    await expect(at(damaged)).rejects.toMatchObject({ id: "config-damaged" });
  });
});

test("the speed is the newest measurement's of this model on this build", () => {
  const result = (model: string, build: string, prompt: number, single?: number) =>
    ({
      model: { sha256: model },
      build,
      bench: { prompt: { median: prompt } },
      served: single === undefined ? [] : [{ concurrent: 1, prompt: { median: single } }],
    }) as unknown as BenchResult;
  const results = [
    result("m", "a", 10),
    result("m", "a", 20, 15),
    result("m", "b", 99),
    result("n", "a", 98),
  ];
  expect(promptSpeed(results, "m", "a")).toBe(15);
  expect(promptSpeed(results.slice(0, 1), "m", "a")).toBe(10);
  expect(promptSpeed(results, "x", "a")).toBeUndefined();
});

describe("memory", () => {
  const GIB = 2 ** 30;
  const served = (gib: number, gpuLayers: Profile["gpuLayers"] = 0, kvUnified = true): Serving => ({
    model: {
      name: "m",
      bytes: gib * GIB,
      head: {
        layers: 32,
        kvBytesPerToken: 131_072,
        vocabulary: 32_000,
        embedding: 4096,
        context: 8192,
        types: [],
      },
    } as unknown as Serving["model"],
    profile: {
      ...USUAL_PROFILE,
      ...{ context: 4096, ubatch: 64, gpuLayers, parallel: 4, kvUnified },
    },
  });

  test("is enough for the weights and the cache of all that may be loaded, and never the whole host's", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.1, max: 40, noNaN: true }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 2, max: 128 }),
        (sizes, host) => {
          const { models, most, promptCache } = routerMemory(
            sizes.map((one) => served(one)),
            host * GIB,
          );
          expect(most).toBeLessThanOrEqual(host * GIB * 0.9);
          expect(models).toBeGreaterThanOrEqual(1);
          expect(models).toBeLessThanOrEqual(sizes.length);
          const loaded = sizes.toSorted((a, b) => b - a).slice(0, models);
          const wanted = loaded.reduce(
            (sum, one) => sum + (one + 0.5) * GIB + promptCache * 2 ** 20,
            0,
          );
          expect(most).toBeGreaterThanOrEqual(Math.min(wanted, host * GIB * 0.9) - 1);
          // more than one is loaded only where it is comfortable
          if (models > 1) expect(wanted).toBeLessThanOrEqual(host * GIB * 0.75);
        },
      ),
    );
  });

  test("one at a time where a GPU is used, as many as fit where none is", () => {
    expect(routerMemory([served(1), served(1), served(1)], 16 * GIB).models).toBe(3);
    expect(routerMemory([served(1), served(1, 20)], 16 * GIB).models).toBe(1);
    expect(routerMemory([served(7), served(7), served(1)], 16 * GIB).models).toBe(1);
  });

  test("requests that have a room each take that of all of them", () => {
    const [shared, each] = [true, false].map((one) => routerMemory([served(1, 0, one)], 64 * GIB));
    const room = 4096 * 131_072;
    expect((each?.most ?? 0) - (shared?.most ?? 0)).toBeGreaterThanOrEqual(3 * room);
    expect((each?.most ?? 0) - (shared?.most ?? 0)).toBeLessThan(3.1 * room);
  });

  test("finished prompts may take a sixteenth of the host, within bounds", () => {
    const caches = [0.5, 8, 64].map((gib) => routerMemory([served(0.1)], gib * GIB).promptCache);
    expect(caches).toEqual([64, 512, 2048]);
  });
});
