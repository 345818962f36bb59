/** How much memory the router and its models take, and how many of them fit at once. Pure. */
import { fit, type Weighed } from "./fit.ts";
import type { Profile } from "./settings.ts";
import type { InstalledModel } from "./store.ts";

const MIB = 2 ** 20;

/** What serving takes. */
export interface RouterMemory {
  /** Models that may be loaded at once; at least one. */
  readonly models: number;
  /** MiB of finished prompts that each may keep. */
  readonly promptCache: number;
  /** Bytes that all of it may take together. */
  readonly most: number;
}

/** A model and how it is served. */
export interface Serving {
  readonly model: Pick<InstalledModel, "name" | "bytes" | "head">;
  readonly profile: Profile;
}

/** The router itself and the program that started it. */
const BESIDE = 256 * MIB;
/** Share of the memory that models may fill before fewer are kept loaded; and that the engine may have at all. */
const [COMFORT, LIMIT] = [0.75, 0.9];

/**
 * Reckons with a host's whole memory, not with what is free just now: a limit must not depend on when it was set. Each model is counted as if it were
 * all in RAM, an upper bound also where a GPU takes layers. With a GPU one model is loaded at a time: its memory is the scarce one.
 */
export function routerMemory(served: readonly Serving[], total: number): RouterMemory {
  const promptCache = Math.round(Math.min(2048, Math.max(64, total / 16 / MIB)));
  const needs = served
    .map(({ model, profile }) => need(model, profile) + promptCache * MIB)
    .toSorted((a, b) => b - a);
  const gpu = served.some(({ profile }) => profile.gpuLayers !== 0);
  let models = 1;
  let sum = needs[0] ?? 0;
  for (const one of gpu ? [] : needs.slice(1)) {
    if (sum + one > total * COMFORT) break;
    sum += one;
    models++;
  }
  return { models, promptCache, most: Math.floor(Math.min(sum + BESIDE, total * LIMIT)) };
}

function need(model: Serving["model"], profile: Profile): number {
  const { context, ubatch, cacheTypeK: cache } = profile;
  const slots = profile.kvUnified ? 1 : profile.parallel;
  return fit(weighed(model), { ram: Infinity }, { context, slots, cache, ubatch }).ram;
}

/** Sizes of the model's own head; what it does not say is taken as a large model has it. */
function weighed({ name, bytes, head }: Serving["model"]): Weighed {
  return {
    name,
    bytes,
    layers: head.layers ?? 32,
    kvBytesPerToken: head.kvBytesPerToken ?? 512 * 1024,
    vocabulary: head.vocabulary ?? 256_000,
    embedding: head.embedding ?? 8192,
    context: head.context ?? 8192,
  };
}
