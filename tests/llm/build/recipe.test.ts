/** A build's id, flags and jobs follow from what decides them, and from nothing else. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BUILD_ID } from "../../../lib/llm/builds.ts";
import type { BuildFacts } from "../../../lib/llm/build/facts.ts";
import { differences, idOf, jobsFor, recipeOf } from "../../../lib/llm/build/recipe.ts";
import { GCC12, PHANTOM, PLAIN, SHADOW, WITH_AMX } from "./worlds.ts";

const idFor = (facts: BuildFacts) => recipeOf(facts)?.id;

describe("the id", () => {
  test("has its form, and none where nothing can compile", () => {
    expect(idFor(PLAIN)).toMatch(BUILD_ID);
    expect(recipeOf({ ...PLAIN, toolchain: { hostCompilers: [] } })).toBeUndefined();
  });
  const same: readonly [string, BuildFacts][] = [
    ["free memory and disk", { ...PLAIN, memory: 1, disk: 1 }],
    ["another home", { ...PLAIN, home: "/srv/x" }],
    ["ccache gone", { ...PLAIN, toolchain: { ...PLAIN.toolchain, ccache: undefined } }],
    [
      "make in place of ninja",
      {
        ...PLAIN,
        toolchain: {
          ...PLAIN.toolchain,
          generator: { name: "Unix Makefiles", path: "/usr/bin/make" },
        },
      },
    ],
    ["fewer processors", { ...PLAIN, cpu: { ...PLAIN.cpu, allowed: 1 } }],
    ["a driver that nothing is built for", { ...PLAIN, cuda: { driver: "535.1" } }],
  ];
  test.each(same)("stays with %s", (_, facts) => expect(idFor(facts)).toBe(idFor(PLAIN)));
  const other: readonly [string, BuildFacts, BuildFacts][] = [
    [
      "the compiler",
      PLAIN,
      { ...PLAIN, toolchain: { ...PLAIN.toolchain, compiler: { ...GCC12, text: "g++ 12.2.1" } } },
    ],
    [
      "what native means",
      PLAIN,
      { ...PLAIN, toolchain: { ...PLAIN.toolchain, compiler: { ...GCC12, native: ["-mavx"] } } },
    ],
    ["the CPU", PLAIN, { ...PLAIN, cpu: { ...PLAIN.cpu, model: "Another CPU" } }],
    ["a back-end", PHANTOM, { ...PHANTOM, asked: { with: [], without: ["vulkan"] } }],
    ["Mesa", PHANTOM, { ...PHANTOM, vulkan: { ...PHANTOM.vulkan, mesa: "26.3.0-1" } }],
    ["the driver's branch", SHADOW, { ...SHADOW, cuda: { ...SHADOW.cuda, driver: "580.95.05" } }],
  ];
  test.each(other)("changes with %s", (_, before, after) =>
    expect(idFor(after)).not.toBe(idFor(before)),
  );
  test("a driver's minor update is no new build", () => {
    const updated = { ...SHADOW, cuda: { ...SHADOW.cuda, driver: "535.247.01" } };
    expect(idFor(updated)).toBe(idFor(SHADOW));
  });
  test("does not hang on the order of inputs", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (inputs) => {
        const turned = Object.fromEntries(Object.entries(inputs).reverse());
        expect(idOf(turned)).toBe(idOf(inputs));
      }),
    );
  });
});

describe("the flags", () => {
  test("native, whole, and without anything that asks npm or the network", () => {
    const flags = recipeOf(PLAIN)?.flags ?? [];
    for (const flag of [
      "GGML_NATIVE=ON",
      "GGML_RPC=ON",
      "BUILD_SHARED_LIBS=OFF",
      "LLAMA_BUILD_TESTS=OFF",
      "LLAMA_BUILD_UI=OFF",
      "LLAMA_USE_PREBUILT_UI=OFF",
      "CMAKE_CXX_COMPILER=/usr/bin/g++",
    ]) {
      expect(flags).toContain(flag);
    }
    expect(flags.join(" ")).not.toMatch(/CUDA|VULKAN|amx|architectures=native/i);
  });
  test("shadow's card is pinned, and its host compiler named", () => {
    expect(recipeOf(SHADOW)?.flags).toEqual(
      expect.arrayContaining([
        "GGML_CUDA=ON",
        "CMAKE_CUDA_ARCHITECTURES=61",
        "CMAKE_CUDA_HOST_COMPILER=/usr/bin/g++-11",
        "CMAKE_CUDA_COMPILER=/usr/bin/nvcc",
      ]),
    );
  });
  test("every AMX switch that native turns on is turned off again where it is left out", () => {
    const compiler = { ...GCC12, native: WITH_AMX, amx: "miscompiled" } as const;
    const facts: BuildFacts = {
      ...PLAIN,
      cpu: { ...PLAIN.cpu, isa: ["avx2", "amx_int8"] },
      toolchain: { ...PLAIN.toolchain, compiler },
    };
    const without = recipeOf({ ...facts, asked: { with: [], without: ["amx"] } });
    const off = "-mno-amx-bf16 -mno-amx-int8 -mno-amx-tile";
    expect(without?.flags).toContain(`CMAKE_CXX_FLAGS=${off}`);
    expect(without?.flags).toContain(`CMAKE_C_FLAGS=${off}`);
    // put right: off everywhere, and on again by the workaround where it is used
    const with_ = recipeOf(facts);
    expect(with_?.flags).toContain(`CMAKE_CXX_FLAGS=${off}`);
    expect(with_?.id).not.toBe(without?.id);
    const sound = { ...facts.toolchain, compiler: { ...compiler, amx: "sound" } as const };
    expect(recipeOf({ ...facts, toolchain: sound })?.flags.join(" ")).not.toContain("amx");
    expect(with_?.inputs["workaround amx-tile-config"]).toMatch(/^[0-9a-f]{12}$/);
    expect(without?.inputs["workaround amx-tile-config"]).toBeUndefined();
  });
  test("half-precision arithmetic that slows attention down is turned off where native turns it on", () => {
    const with16 = [...GCC12.native, "-mavx512f", "-mavx512fp16"];
    const compiler = { ...GCC12, native: with16 };
    const flags = recipeOf({ ...PLAIN, toolchain: { ...PLAIN.toolchain, compiler } })?.flags;
    expect(flags).toContain("CMAKE_CXX_FLAGS=-mno-avx512fp16");
    expect(flags).toContain("CMAKE_C_FLAGS=-mno-avx512fp16");
    expect(recipeOf(PLAIN)?.flags.join(" ")).not.toContain("-mno-");
  });
});

test("what changed is said in words, long lists by what came and went", () => {
  const words = ["a", "b", "c", "d", "e", "f", "g", "h"];
  expect(
    differences(
      { compiler: "g++ 12", sets: words.join(" "), CUDA: "11.8", same: "x" },
      { compiler: "g++ 14", sets: [...words.slice(1), "i"].join(" "), Mesa: "25", same: "x" },
    ),
  ).toEqual(["CUDA: no longer 11.8", "Mesa: now 25", "compiler: g++ 12 -> g++ 14", "sets: +i -a"]);
});

test("jobs: a core each, as long as memory lasts, at least one, or what is asked for", () => {
  expect(jobsFor(PLAIN, ["cpu"])).toBe(4);
  expect(jobsFor({ ...PLAIN, memory: 2.5e9 }, ["cpu"])).toBe(2);
  expect(jobsFor({ ...PLAIN, memory: 6e9 }, ["cpu", "cuda"])).toBe(2);
  expect(jobsFor({ ...PLAIN, memory: 1e8 }, ["cpu"])).toBe(1);
  expect(jobsFor({ ...PLAIN, memory: undefined }, ["cpu"])).toBe(4);
  expect(jobsFor({ ...PLAIN, memory: 1e8 }, ["cpu"], 3)).toBe(3);
});
