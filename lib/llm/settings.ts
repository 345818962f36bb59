/** The settings that an engine serves a model with, and the two things that it serves. */

/** Types of the KV cache that llama.cpp v0.5.0 takes and that are of use: half precision, and two smaller ones. */
export const CACHE_TYPES = ["f16", "q8_0", "q4_0"] as const;
export type CacheType = (typeof CACHE_TYPES)[number];

/** Speculation that needs no second model (llama-server --help, v0.5.0): it drafts from what was said before. The most useful first. */
export const SPECULATIONS = [
  "none",
  "ngram-mod",
  "ngram-map-k",
  "ngram-simple",
  "ngram-map-k4v",
  "ngram-cache",
] as const;
export type Speculation = (typeof SPECULATIONS)[number];

/** Settings of a served model. Counts are of threads, tokens, layers or requests. */
export interface Profile {
  /** Threads that generate; also those that read the prompt. */
  readonly threads: number;
  /** Logical processors that the threads may run on; all of them when empty. */
  readonly cpus: readonly number[];
  /** Most tokens of a prompt that are handed over at once, and that are computed at once. */
  readonly batch: number;
  readonly ubatch: number;
  readonly flashAttention: "on" | "off" | "auto";
  readonly cacheTypeK: CacheType;
  readonly cacheTypeV: CacheType;
  /** Layers in the GPU's memory; 0 for a CPU alone; "fit" for as many as llama.cpp finds room for. */
  readonly gpuLayers: number | "fit";
  readonly speculation: Speculation;
  /** Longest draft of the speculation, in tokens; the engine's own default when 0. */
  readonly draft: number;
  /** Requests that are served at once. */
  readonly parallel: number;
  /** Tokens of context that one request may use. */
  readonly context: number;
  /** True where all requests share the room of one, false where each has its own: then an answer's sums never hang on who else asks. */
  readonly kvUnified: boolean;
}

/** A model as its server needs to know it. `context` is what it was trained for, in tokens. */
export interface ServedModel {
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  /** What its file says of itself. */
  readonly head?:
    | {
        readonly context?: number | undefined;
        readonly kvBytesPerToken?: number | undefined;
        readonly quantisation?: string | undefined;
      }
    | undefined;
}

/** A build as its server needs to know it. */
export interface ServingBuild {
  readonly id: string;
  readonly folder: string;
  program(name: string): string;
  readonly info?: { readonly backends?: readonly string[] } | undefined;
}
