/** How many tokens an engine may compute in one step, and what speculation is left with. Pure. */
import type { Profile } from "./settings.ts";

/** Tokens of a step on a host that was never measured: an old laptop reads a 7B model at about 20 a second. */
export const UNMEASURED = 16;
const LEAST = 8;
/**
 * Share of the measured speed that is counted on. It was measured on a short prompt with the machine to itself; with a long context, other slots that
 * generate, and a hot processor a step takes longer.
 */
const SHARE = 0.5;
/** Longest draft of the engine's own (llama-server --help, v0.5.0); ngram-cache has no setting for it and drafts a few. */
const OWN_DRAFT = { usual: 48, "ngram-mod": 64, "ngram-cache": 16 } as const;
/** Shorter drafts gain nothing worth their cost. */
const LEAST_DRAFT = 4;

/**
 * The profile with a step that takes at most a second on this host: while a step runs the engine neither serves its other requests nor shows that it
 * lives, and a gateway takes its silence for a stall. `promptSpeed` is the measured one in tokens per second, undefined where none was measured.
 * Powers of two, as the engine's kernels like them.
 */
export function withShortSteps(profile: Profile, promptSpeed: number | undefined): Profile {
  const tokens = promptSpeed === undefined ? UNMEASURED : promptSpeed * SHARE;
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
