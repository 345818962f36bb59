/** Whether a model fits: the arithmetic, and what is said where it does not. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import builtIn from "../../models/catalogue.yaml" with { type: "text" };
import type { CatalogueEntry } from "../../lib/llm/catalogue.ts";
import { parseCatalogue } from "../../lib/llm/catalogue_parse.ts";
import {
  cacheBytes,
  computeBytes,
  fit,
  GPU_MARGIN,
  layersOnGpu,
  mostContext,
  RAM_MARGIN,
  USUAL_SERVING,
  type Room,
  type Serving,
} from "../../lib/llm/fit.ts";
import {
  arithmetic,
  bestFitting,
  inOneLine,
  instead,
  wholeOnGpu,
} from "../../lib/llm/fit_advice.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const { entries } = await parseCatalogue(builtIn as string, "built-in", "/home/op");
const model = (name: string): CatalogueEntry => {
  const found = entries.find((entry) => entry.name === name);
  if (!found) throw new Error(`no ${name} in the catalogue`);
  return found;
};
/** GTX 1050 Ti without a screen on it, in a host with 16 GB: 4040 of its 4096 MiB are free. */
const shadow: Room = { ram: 12 * GIB, gpu: { name: "GTX 1050 Ti", free: 4040 * MIB } };
const usual = USUAL_SERVING;

describe("arithmetic", () => {
  test("the KV cache per token is what is known of each model", () => {
    const kib = (name: string) => model(name).kvBytesPerToken / 1024;
    expect(kib("mistral-7b-v0.3")).toBe(128);
    expect(kib("phi-3-mini")).toBe(384);
    expect(kib("qwen3-4b")).toBe(144);
    expect(cacheBytes(model("phi-3-mini"), usual)).toBe(1.5 * GIB);
  });

  // `llama-fit-params -m FILE -c C -ub U [-ctk q8_0 -ctv q8_0] --fit-print on` of llama.cpp v0.5.0, CPU: context and compute in MiB.
  // SmolLM2 is the real file; the others are files of zeroes with the real models' shapes.
  const measured: readonly [string, Partial<Serving>, number, number][] = [
    ["smollm2-135m", { context: 8192 }, 180, 98],
    ["smollm2-135m", { context: 2048 }, 45, 102],
    ["smollm2-135m", { context: 4096, ubatch: 256 }, 90, 49],
    ["smollm2-135m", { context: 2048, slots: 4 }, 180, 102],
    ["smollm2-135m", { context: 4096, cache: "q8_0" }, 47, 99],
    ["mistral-7b-v0.3", { context: 4096 }, 512, 120],
    ["mistral-7b-v0.3", { context: 4096, ubatch: 256 }, 512, 60],
    ["mistral-7b-v0.3", { context: 4096, cache: "q8_0" }, 272, 120],
    ["phi-3-mini", { context: 4096 }, 1536, 90],
    ["phi-3-mini", { context: 2048 }, 768, 88],
    ["phi-3-mini", { context: 2048, slots: 4 }, 3072, 88],
    ["phi-3-mini", { context: 4096, cache: "q8_0" }, 816, 90],
    ["qwen3-4b", { context: 4096 }, 576, 306],
    ["qwen3-4b", { context: 4096, ubatch: 256 }, 576, 153],
    ["qwen3-4b", { context: 4096, cache: "q8_0" }, 306, 306],
  ];
  test.each(measured)("%s %j agrees with the engine's own", (name, change, cache, compute) => {
    const serving = { ...usual, ...change };
    expect(Math.floor(cacheBytes(model(name), serving) / MIB)).toBe(cache);
    const reckoned = computeBytes(model(name), serving) / MIB;
    expect(reckoned).toBeGreaterThanOrEqual(compute);
    expect(reckoned).toBeLessThan(compute * 1.25);
  });

  test("slots share the context of the engine: four of 2048 take what one of 8192 takes", () => {
    const four = cacheBytes(model("qwen3-4b"), { ...usual, context: 2048, slots: 4 });
    expect(four).toBe(cacheBytes(model("qwen3-4b"), { ...usual, context: 8192 }));
  });
});

describe("a card of 4 GB", () => {
  test("Phi-3 mini at 4096 tokens is split; 2048 tokens or a q8_0 cache put all of it there", () => {
    const phi = model("phi-3-mini");
    const found = fit(phi, shadow, usual);
    expect(found.where).toBe("split");
    expect(found.gpuLayers).toBeGreaterThan(20);
    expect(fit(phi, shadow, { ...usual, context: 2048 }).where).toBe("gpu");
    expect(fit(phi, shadow, { ...usual, cache: "q8_0" }).where).toBe("gpu");
    const advice = wholeOnGpu(phi, shadow, usual).join("; ");
    expect(advice).toContain("q8_0 KV cache");
    expect(Number(/a context of (\d+)/.exec(advice)?.[1])).toBeGreaterThanOrEqual(2048);
  });

  test("Mistral 7B at 4096 tokens has 22 to 24 of its 33 layers there", () => {
    const found = fit(model("mistral-7b-v0.3"), shadow, usual);
    expect(found.where).toBe("split");
    expect(found.gpuLayers).toBeGreaterThanOrEqual(22);
    expect(found.gpuLayers).toBeLessThanOrEqual(24);
    expect(arithmetic(model("mistral-7b-v0.3"), found).flat().join(" ")).toContain("of 33 layers");
  });
  test("Qwen3 4B at 4096 tokens fits whole", () => {
    expect(fit(model("qwen3-4b"), shadow, usual).where).toBe("gpu");
  });
  test("a split model still needs its other layers in RAM", () => {
    const poor = { ...shadow, ram: GIB };
    expect(fit(model("mistral-7b-v0.3"), poor, usual).where).toBe("none");
  });
});

describe("RAM alone", () => {
  test("what does not fit is refused with numbers, and with what would", () => {
    const room = { ram: 4 * GIB };
    const phi = model("phi-3-mini");
    const found = fit(phi, room, usual);
    expect(found.where).toBe("none");
    expect(inOneLine(found)).toBe(
      "2.2 GiB weights + 1.5 GiB KV cache + 109 MiB compute + 512 MiB margin = 4.3 GiB, 4.0 GiB are free",
    );
    const advice = instead(phi, room, usual, entries);
    expect(advice.join("; ")).toMatch(/a context of (3072|3328) instead of 4096 tokens/);
    expect(advice.join("; ")).toContain("q8_0 KV cache, with 4096 tokens");
    expect(advice.join("; ")).toContain("smollm2-135m");
  });
  test("too small for its weights: only another model helps", () => {
    expect(instead(model("mistral-7b-v0.3"), { ram: 3 * GIB }, usual, entries)).toEqual([
      "smollm2-135m (SmolLM2 135M Instruct, 93.8 MiB) instead",
    ]);
    expect(instead(model("smollm2-135m"), { ram: 100 * MIB }, usual, entries)).toEqual([]);
  });
  test("the most capable that fits is taken", () => {
    const best = (gib: number) => bestFitting(entries, { ram: gib * GIB }, usual)?.name;
    expect(best(16)).toBe("qwen3.5-4b");
    expect(best(3)).toBe("smollm2-135m");
    expect(best(0.1)).toBeUndefined();
  });
});

describe("whatever the room", () => {
  const rooms = fc.record({
    ram: fc.integer({ min: 0, max: 64 * GIB }),
    gpu: fc.option(
      fc.record({ name: fc.constant("gpu"), free: fc.integer({ min: 0, max: 48 * GIB }) }),
      { nil: undefined },
    ),
  });
  const room = rooms.map((made): Room => ({
    ram: made.ram,
    ...(made.gpu ? { gpu: made.gpu } : {}),
  }));
  const serving = fc.record({
    context: fc.integer({ min: 256, max: 131_072 }),
    slots: fc.integer({ min: 1, max: 8 }),
    cache: fc.constantFrom("f16" as const, "q8_0" as const, "q4_0" as const),
    ubatch: fc.constantFrom(128, 512, 1024),
  });
  const any = fc.constantFrom(...entries);

  test("what is said to fit takes no more than there is, margins included", () => {
    fc.assert(
      fc.property(any, room, serving, (one, here, how) => {
        const found = fit(one, here, how);
        if (found.where === "none") return;
        expect(found.ram).toBeLessThanOrEqual(here.ram);
        expect(found.ram).toBeGreaterThanOrEqual(RAM_MARGIN);
        if (found.gpuLayers > 0) {
          expect(found.vram).toBeLessThanOrEqual(here.gpu?.free ?? 0);
          expect(found.vram).toBeGreaterThanOrEqual(GPU_MARGIN);
        }
      }),
    );
  });
  test("more room or less context never makes it worse", () => {
    const rank = { none: 0, cpu: 1, split: 2, gpu: 3 };
    fc.assert(
      fc.property(any, room, serving, fc.integer({ min: 0, max: GIB }), (one, here, how, more) => {
        const found = fit(one, here, how);
        const roomier: Room = {
          ram: here.ram + more,
          ...(here.gpu ? { gpu: { ...here.gpu, free: here.gpu.free + more } } : {}),
        };
        expect(rank[fit(one, roomier, how).where]).toBeGreaterThanOrEqual(rank[found.where]);
        const shorter = { ...how, context: Math.ceil(how.context / 2) };
        expect(layersOnGpu(one, here, shorter)).toBeGreaterThanOrEqual(found.gpuLayers);
      }),
    );
  });
  test("the most context that is named fits, and 256 tokens more do not", () => {
    fc.assert(
      fc.property(any, room, serving, (one, here, how) => {
        const most = mostContext(one, here, how);
        if (most > 0) expect(fit(one, here, { ...how, context: most }).where).not.toBe("none");
        if (most + 256 <= one.context) {
          expect(fit(one, here, { ...how, context: most + 256 }).where).toBe("none");
        }
      }),
    );
  });
});
