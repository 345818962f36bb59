/** The arithmetic of a fit for people, and what would fit where something does not. Pure. */
import { bytes } from "../report/text.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import {
  fit,
  GPU_MARGIN,
  LEAST_CONTEXT,
  layersOnGpu,
  mostContext,
  RAM_MARGIN,
  type Fit,
  type Room,
  type Serving,
  type Weighed,
} from "./fit.ts";

/** The sum, one term a line: what is needed, of what it is made, and what is there. */
export function arithmetic(model: Weighed, found: Fit): readonly (readonly string[])[] {
  const { context, slots, cache, ubatch } = found.serving;
  const all = context * slots;
  const shared = slots === 1 ? "" : `: ${slots} slots of ${context}`;
  const perToken = bytes(found.cache / all);
  const rows = [
    ["weights", bytes(found.weights), "the file"],
    ["+ KV cache", bytes(found.cache), `${all} tokens${shared} x ${perToken}, ${cache}`],
    ["+ compute", bytes(found.compute), `${ubatch} tokens at once, vocabulary ${model.vocabulary}`],
  ];
  const free = `of ${bytes(found.room.ram)} free`;
  if (found.where === "gpu" || found.where === "split") {
    const layers = `${found.gpuLayers} of ${model.layers + 1} layers`;
    const gpu = found.room.gpu;
    rows.push(
      [
        "= GPU",
        bytes(found.vram),
        `of ${bytes(gpu?.free ?? 0)} free, ${bytes(GPU_MARGIN)} margin included: ${layers}`,
      ],
      ["= RAM", bytes(found.ram), `${free}, ${bytes(RAM_MARGIN)} margin included: the rest`],
    );
  } else {
    const verdict =
      found.where === "cpu" ? "it fits" : `${bytes(found.ram - found.room.ram)} too much`;
    rows.push(
      ["+ margin", bytes(RAM_MARGIN), "for the engine's own process and what else runs"],
      ["= RAM", bytes(found.ram), `${free}: ${verdict}`],
    );
  }
  return rows;
}

/** The sum on one line, for an error or a table. */
export function inOneLine(found: Fit): string {
  const { weights, cache, compute, ram, room, where } = found;
  const parts = `${bytes(weights)} weights + ${bytes(cache)} KV cache + ${bytes(compute)} compute`;
  if (where === "gpu" || where === "split") {
    return `${parts}: ${bytes(found.vram)} of ${bytes(room.gpu?.free ?? 0)} on the GPU, ${bytes(ram)} of ${bytes(room.ram)} in RAM`;
  }
  return `${parts} + ${bytes(RAM_MARGIN)} margin = ${bytes(ram)}, ${bytes(room.ram)} are free`;
}

/** What would fit in place of `model` served as `serving`: most useful first. Empty where nothing does. */
export function instead(
  model: Weighed,
  room: Room,
  serving: Serving,
  catalogue: readonly CatalogueEntry[],
): readonly string[] {
  const advice: string[] = [];
  if (serving.slots > 1 && fit(model, room, { ...serving, slots: 1 }).where !== "none") {
    advice.push(`one slot instead of ${serving.slots}`);
  }
  const shorter = mostContext(model, room, serving);
  if (shorter >= LEAST_CONTEXT && shorter < serving.context) {
    advice.push(`a context of ${shorter} instead of ${serving.context} tokens`);
  }
  const small: Serving = { ...serving, cache: "q8_0" };
  if (serving.cache === "f16") {
    const packed = Math.min(serving.context, mostContext(model, room, small));
    if (packed >= LEAST_CONTEXT && packed > shorter) {
      advice.push(`a q8_0 KV cache, with ${packed} tokens`);
    }
  }
  const others = catalogue
    .filter((other) => other.name !== model.name && other.bytes < model.bytes)
    .filter((other) => fit(other, room, shortened(other, serving)).where !== "none")
    .sort((a, b) => b.rank - a.rank);
  const [best] = others;
  if (best) advice.push(`${best.name} (${best.title}, ${bytes(best.bytes)}) instead`);
  return advice;
}

/** How all of a model that is split between GPU and CPU would fit on the GPU; empty where it is not split or nothing helps. */
export function wholeOnGpu(model: Weighed, room: Room, serving: Serving): readonly string[] {
  const found = fit(model, room, serving);
  if (found.where !== "split") return [];
  const advice: string[] = [];
  const shorter = mostContext(model, room, serving, ["gpu"]);
  if (shorter >= LEAST_CONTEXT) advice.push(`a context of ${shorter} tokens`);
  const small: Serving = { ...serving, cache: "q8_0" };
  if (serving.cache === "f16" && layersOnGpu(model, room, small) === model.layers + 1) {
    advice.push("a q8_0 KV cache with flash attention");
  }
  return advice;
}

/** The serving with no more context than a model was trained for. */
export function shortened(model: Weighed, serving: Serving): Serving {
  return { ...serving, context: Math.min(serving.context, model.context) };
}

/** The most capable model of the catalogue that fits; undefined where none does. */
export function bestFitting(
  catalogue: readonly CatalogueEntry[],
  room: Room,
  serving: Serving,
): CatalogueEntry | undefined {
  return catalogue
    .filter((entry) => fit(entry, room, shortened(entry, serving)).where !== "none")
    .sort((a, b) => b.rank - a.rank || b.bytes - a.bytes)[0];
}
