/** A profile in its other forms: the engine's command line, a checked document, a line for people. */
import type { Json } from "../unit.ts";
import { CACHE_TYPES, SPECULATIONS, type Profile, type Speculation } from "./settings.ts";

/** Bits of a cpu mask in hex, as llama.cpp takes it, e.g. [0, 2] -> "0x5". */
export function cpuMask(cpus: readonly number[]): string {
  return `0x${cpus.reduce((mask, cpu) => mask | (1n << BigInt(cpu)), 0n).toString(16)}`;
}

/** Room that `--fit` leaves free on a GPU, in MiB: llama.cpp's own 1 GiB wastes a quarter of a 4 GB card. */
export const FIT_TARGET = "384";

/** The settings of a profile that llama-server and llama-bench (v0.5.0) take by the same names. */
export function sharedArguments(profile: Profile): string[] {
  return [
    "--batch-size",
    String(profile.batch),
    "--ubatch-size",
    String(profile.ubatch),
    "--flash-attn",
    profile.flashAttention,
    "--cache-type-k",
    profile.cacheTypeK,
    "--cache-type-v",
    profile.cacheTypeV,
  ];
}

/** The arguments of llama-server (v0.5.0) that carry out a profile; model, address and key are the server's part. */
export function profileArguments(profile: Profile): string[] {
  const { speculation, draft, cpus } = profile;
  return [
    "--threads",
    String(profile.threads),
    ...(cpus.length > 0
      ? ["--cpu-mask", cpuMask(cpus), "--cpu-strict", "1", "--cpu-strict-batch", "1"]
      : []),
    ...sharedArguments(profile),
    ...(profile.gpuLayers === "fit"
      ? ["--gpu-layers", "auto", "--fit", "on", "--fit-target", FIT_TARGET]
      : ["--gpu-layers", String(profile.gpuLayers), "--fit", "off"]),
    ...(profile.gpuLayers === 0 ? ["--device", "none"] : []),
    "--spec-type",
    speculation,
    ...draftArguments(speculation, draft),
    "--parallel",
    String(profile.parallel),
    profile.kvUnified ? "--kv-unified" : "--no-kv-unified",
    "--ctx-size",
    String(profile.kvUnified ? profile.context : profile.context * profile.parallel),
  ];
}

/** Each kind of speculation has its own name for the longest draft (llama-server --help, v0.5.0). */
function draftArguments(speculation: Speculation, draft: number): string[] {
  if (draft === 0 || speculation === "none" || speculation === "ngram-cache") return [];
  if (speculation === "ngram-mod") {
    return [
      "--spec-ngram-mod-n-max",
      String(draft),
      "--spec-ngram-mod-n-min",
      String(Math.min(draft, 48)),
    ];
  }
  return [`--spec-${speculation}-size-m`, String(draft)];
}

/** A profile from outside, checked. Undefined where any of it is not one. */
export function parseProfile(value: unknown): Profile | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const from = value as Readonly<Record<string, unknown>>;
  const { cpus, flashAttention, cacheTypeK, cacheTypeV, gpuLayers, speculation } = from;
  // a document of an earlier release does not have it: there all requests shared one
  const { kvUnified = true } = from;
  const count = (key: string, least: number, most: number) => {
    const number = from[key];
    return typeof number === "number" &&
      Number.isInteger(number) &&
      number >= least &&
      number <= most
      ? number
      : undefined;
  };
  const oneOf = <T extends string>(choices: readonly T[], one: unknown) =>
    choices.find((choice) => choice === one);
  const threads = count("threads", 1, 1024);
  const batch = count("batch", 1, 65536);
  const ubatch = count("ubatch", 1, 65536);
  const draft = count("draft", 0, 1024);
  const parallel = count("parallel", 1, 256);
  const context = count("context", 1, 16_777_216);
  const layers = gpuLayers === "fit" ? gpuLayers : count("gpuLayers", 0, 10_000);
  const flash = oneOf(["on", "off", "auto"], flashAttention);
  const k = oneOf(CACHE_TYPES, cacheTypeK);
  const v = oneOf(CACHE_TYPES, cacheTypeV);
  const spec = oneOf(SPECULATIONS, speculation);
  const pinned =
    Array.isArray(cpus) && cpus.every((cpu) => Number.isInteger(cpu) && cpu >= 0 && cpu < 8192)
      ? (cpus as number[])
      : undefined;
  if (threads === undefined || batch === undefined || ubatch === undefined) return undefined;
  if (draft === undefined || parallel === undefined || context === undefined) return undefined;
  if (typeof kvUnified !== "boolean") return undefined;
  if (layers === undefined || !flash || !k || !v || !spec || !pinned) return undefined;
  return {
    threads,
    cpus: pinned,
    batch,
    ubatch,
    flashAttention: flash,
    cacheTypeK: k,
    cacheTypeV: v,
    gpuLayers: layers,
    speculation: spec,
    draft,
    parallel,
    context,
    kvUnified,
  };
}

/** One setting per word, for people: only what differs from `base` where given. */
export function describeProfile(profile: Profile, base?: Profile): string {
  const words: string[] = [];
  const say = (key: keyof Profile, text: string) => {
    if (!base || JSON.stringify(profile[key]) !== JSON.stringify(base[key])) words.push(text);
  };
  say("threads", `${profile.threads} threads`);
  say("cpus", profile.cpus.length > 0 ? `pinned to ${profile.cpus.join(",")}` : "not pinned");
  say("batch", `batch ${profile.batch}`);
  say("ubatch", `ubatch ${profile.ubatch}`);
  say("flashAttention", `flash attention ${profile.flashAttention}`);
  say("cacheTypeK", `K ${profile.cacheTypeK}`);
  say("cacheTypeV", `V ${profile.cacheTypeV}`);
  say("gpuLayers", `GPU layers ${profile.gpuLayers}`);
  const draft = profile.draft > 0 ? ` of ${profile.draft}` : "";
  if (profile.speculation === "none") say("speculation", "no speculation");
  else if (!base || profile.draft !== base.draft || profile.speculation !== base.speculation) {
    words.push(`speculation ${profile.speculation}${draft}`);
  }
  say("parallel", `${profile.parallel} at once`);
  say("context", `context ${profile.context}`);
  say("kvUnified", profile.kvUnified ? "shared by all" : "for each");
  return words.length > 0 ? words.join(", ") : "as it was";
}

/** A profile as plain JSON, for documents and fingerprints. */
export function profileJson(profile: Profile): { readonly [key: string]: Json } {
  return { ...profile, cpus: [...profile.cpus] };
}
