/**
 * Whether a model fits a host's memory: weights + KV cache + compute buffer + margin. Pure.
 *
 * The weights are the file's own bytes. The KV cache is exact. The compute buffer is `ubatch x 4 x (vocabulary + 7 x embedding)` for the logits
 * and the widest layer, and two bytes per token of a slot and of the micro-batch for the mask: never below what llama.cpp v0.5.0 itself reckons and at
 * most a quarter above it (`llama-fit-params --fit-print on`, ubatch 512, MiB: Mistral 7B at 4096 tokens 120, here 124; Phi-3 mini 90, here 108;
 * Qwen3 4B 306, here 336; SmolLM2 98-102, here 106-112). It holds for flash attention "on" or "auto", which is the engine's default.
 */
import type { CatalogueEntry } from "./catalogue.ts";
import type { CacheType } from "./settings.ts";

/** What decides a model's memory. */
export type Weighed = Pick<
  CatalogueEntry,
  "name" | "bytes" | "layers" | "kvBytesPerToken" | "vocabulary" | "embedding" | "context"
>;

/** Memory that is free now, in bytes. */
export interface Room {
  readonly ram: number;
  /** The largest GPU, where there is one with memory of its own. */
  readonly gpu?: { readonly name: string; readonly free: number };
}

/** How the model is to be served. `-c` of the engine is shared by its slots: it is `context x slots`. */
export interface Serving {
  /** Tokens that one request can have, its answer included. */
  readonly context: number;
  readonly slots: number;
  readonly cache: CacheType;
  /** Tokens computed at once. */
  readonly ubatch: number;
}

/** One way of placing a model. */
export interface Fit {
  readonly model: string;
  readonly serving: Serving;
  /** "gpu": all of it on the GPU; "split": some layers there; "cpu": all in RAM; "none": it does not fit. */
  readonly where: "gpu" | "split" | "cpu" | "none";
  /** Layers on the GPU, the output layer counted: the engine's `-ngl`. */
  readonly gpuLayers: number;
  readonly weights: number;
  readonly cache: number;
  readonly compute: number;
  /** Bytes wanted in RAM and on the GPU for this placing, margins included; for "none", what the CPU alone would want. */
  readonly ram: number;
  readonly vram: number;
  readonly room: Room;
}

/** Kept free beside the model: the engine's own process, and what else runs. */
export const RAM_MARGIN = 512 * 2 ** 20;
/** The CUDA context and what the screen takes. The engine's own default of 1 GiB would waste a quarter of a 4 GB card. */
export const GPU_MARGIN = 384 * 2 ** 20;
/** Fewer tokens than this hold no useful exchange. */
export const LEAST_CONTEXT = 1024;
/** What a model is reckoned with where nobody said otherwise. */
export const USUAL_SERVING: Serving = { context: 4096, slots: 1, cache: "f16", ubatch: 512 };

/** Bytes of a cached value against f16's two: a block of 32 takes 34 bytes as q8_0 and 18 as q4_0 (ggml). */
const CACHE_SHARE: Readonly<Record<CacheType, number>> = {
  f16: 1,
  q8_0: 34 / 64,
  q4_0: 18 / 64,
};

/** Bytes of the KV cache of all slots together. */
export function cacheBytes(model: Weighed, { context, slots, cache }: Serving): number {
  return Math.ceil(model.kvBytesPerToken * context * slots * CACHE_SHARE[cache]);
}

/** Upper bound of the engine's compute buffer, in bytes. */
export function computeBytes(model: Weighed, { context, slots, ubatch }: Serving): number {
  const tokens = Math.min(ubatch, context * slots);
  return tokens * 4 * (model.vocabulary + 7 * model.embedding) + tokens * 2 * context;
}

/** Places `model` as well as this host can: all on the GPU, else as many layers there as fit, else in RAM, else nowhere. */
export function fit(model: Weighed, room: Room, serving: Serving = USUAL_SERVING): Fit {
  const weights = model.bytes;
  const cache = cacheBytes(model, serving);
  const compute = computeBytes(model, serving);
  const base = { model: model.name, serving, weights, cache, compute, room };
  const alone = weights + cache + compute + RAM_MARGIN;
  const layers = layersOnGpu(model, room, serving);
  const units = model.layers + 1;
  const share = layers / units;
  const onGpu = layers > 0 ? Math.ceil((weights + cache) * share) + compute + GPU_MARGIN : 0;
  // a GPU does not spare all of the RAM: the process and its own buffers stay there
  const beside = Math.ceil((weights + cache) * (1 - share)) + compute + RAM_MARGIN;
  if (layers === units && beside <= room.ram) {
    return { ...base, where: "gpu", gpuLayers: units, ram: beside, vram: onGpu };
  }
  if (layers > 0 && beside <= room.ram) {
    return { ...base, where: "split", gpuLayers: layers, ram: beside, vram: onGpu };
  }
  const where = alone <= room.ram ? "cpu" : "none";
  return { ...base, where, gpuLayers: 0, ram: alone, vram: 0 };
}

/** How many layers of `model` the GPU takes with their share of the cache, the output layer counted; 0 without a GPU. */
export function layersOnGpu(model: Weighed, room: Room, serving: Serving): number {
  if (!room.gpu) return 0;
  const units = model.layers + 1;
  const left = room.gpu.free - GPU_MARGIN - computeBytes(model, serving);
  const each = (model.bytes + cacheBytes(model, serving)) / units;
  return Math.max(0, Math.min(units, Math.floor(left / each)));
}

/** The most tokens per slot with which the model still is where `wanted` says, in steps of 256; 0 where none are. */
export function mostContext(
  model: Weighed,
  room: Room,
  serving: Serving,
  wanted: readonly Fit["where"][] = ["gpu", "split", "cpu"],
): number {
  const holds = (context: number) =>
    wanted.includes(fit(model, room, { ...serving, context }).where);
  let low = 0;
  let high = Math.floor(model.context / 256);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle * 256)) low = middle;
    else high = middle - 1;
  }
  return low * 256;
}
