/** How many tokens an engine may compute in one step, and what speculation is left with. Pure. */
import type { Profile } from "./settings.ts";

/** Tokens of a step on a host that was never measured: an old laptop reads a 7B model at about 20 a second. */
export const UNMEASURED = 16;
const LEAST = 8;
/** Share of the speed that is counted on: other slots generate meanwhile, and a hot processor is slower. */
const SHARE = 0.7;
/**
 * How much dearer an operation of the attention is than one on the weights. Measured on a CPU with SmolLM2-135M: a step of 16 tokens takes 15 ms at the
 * start of a prompt and 115 ms behind 2,500 tokens, which is 9; a GPU's kernels are better at it, by how much was not measured here.
 */
const DEARER = { cpu: 10, gpu: 4 } as const;
/** Slowing down by a full context of a model that does not tell its sizes. */
const USUAL_SLOWDOWN = 6;

/** What decides how much slower a model reads behind a full context. */
export interface Sizes {
  readonly layers?: number | undefined;
  readonly embedding?: number | undefined;
  readonly parameters?: number | undefined;
}

/**
 * How many times longer a token takes behind a full context than at the start. Operations per token: 2 for each weight, and 4 for each value of each
 * layer's width and each token before it (Kaplan et al. 2020, table 1, for reading alone). Pure.
 */
export function slowdown(
  { layers, embedding, parameters }: Sizes,
  { context, gpuLayers }: Pick<Profile, "context" | "gpuLayers">,
): number {
  if (!layers || !embedding || !parameters) return USUAL_SLOWDOWN;
  const share = (4 * layers * embedding * context) / (2 * parameters);
  return 1 + share * (gpuLayers === 0 ? DEARER.cpu : DEARER.gpu);
}

/** Longest draft of the engine's own (llama-server --help, v0.5.0); ngram-cache has no setting for it and drafts a few. */
const OWN_DRAFT = { usual: 48, "ngram-mod": 64, "ngram-cache": 16 } as const;
/** Shorter drafts gain nothing worth their cost. */
const LEAST_DRAFT = 4;

/**
 * The profile with a step that takes at most a second on this host: while a step runs the engine neither serves its other requests nor shows that it
 * lives, and a gateway takes its silence for a stall. That holds behind a full context too, where reading is slowest. `promptSpeed` is the measured one of
 * a short prompt in tokens per second, undefined where none was measured. Powers of two, as the engine's kernels like them.
 */
export function withShortSteps(
  profile: Profile,
  promptSpeed: number | undefined,
  sizes: Sizes,
): Profile {
  const slowest = (promptSpeed ?? 0) / slowdown(sizes, profile);
  const tokens = promptSpeed === undefined ? UNMEASURED : slowest * SHARE;
  const most = Math.max(LEAST, 2 ** Math.floor(Math.log2(Math.max(1, tokens))));
  const batch = Math.min(profile.batch, most);
  return withRoomForDrafts({ ...profile, batch, ubatch: Math.min(profile.ubatch, batch) });
}

/** The drafts of all slots must fit one step: the engine throws amid a step where they don't (server-context.cpp, llama.cpp#24840). */
function withRoomForDrafts(profile: Profile): Profile {
  const { speculation, draft, batch, parallel } = profile;
  if (speculation === "none") return profile;
  const room = Math.floor(batch / parallel) - 1;
  const own = speculation === "ngram-mod" || speculation === "ngram-cache" ? speculation : "usual";
  const wanted = draft === 0 ? OWN_DRAFT[own] : draft;
  if (wanted <= room) return profile;
  const fixed = speculation === "ngram-cache";
  if (fixed || room < LEAST_DRAFT) return { ...profile, speculation: "none", draft: 0 };
  return { ...profile, draft: room };
}
