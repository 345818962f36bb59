/** How a model is served where a test does not care how. */
import type { Profile } from "../../lib/llm/settings.ts";

/** The usual one: of a host with four cores and no GPU that was never tuned. */
export const USUAL_PROFILE: Profile = {
  threads: 4,
  cpus: [],
  batch: 2048,
  ubatch: 512,
  flashAttention: "auto",
  cacheTypeK: "f16",
  cacheTypeV: "f16",
  gpuLayers: 0,
  speculation: "none",
  draft: 0,
  parallel: 4,
  context: 4096,
  kvUnified: false,
};
