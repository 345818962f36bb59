/** What `--tune` left for a model on a build. */
import { inHome } from "../keep/home.ts";
import { parseStat, type Stat } from "./bench/stats.ts";
import type { Probe } from "../machine/probe.ts";
import type { Profile, ServedModel } from "./settings.ts";
import { parseProfile } from "./profile_form.ts";

/** Where the tuned profile of a model on a build is kept. */
export function tunedPath(
  probe: Probe,
  model: ServedModel,
  build: { readonly id: string },
): string {
  return inHome.bench(
    probe.home,
    probe.host,
    "profiles",
    `${model.sha256.slice(0, 16)}-${build.id}.json`,
  );
}

/** What `--tune` left: the profile, and what it was measured to gain. */
export interface TunedDocument {
  readonly schema: 1;
  readonly at: string;
  readonly model: string;
  readonly build: string;
  readonly profile: Profile;
  /** Ratio of generation speed to the untuned profile, by load. */
  readonly gain: { readonly chat: number; readonly rewrite: number };
  /** What was tried, in order, and what came of it. */
  readonly tried: readonly Tried[];
  /** Set where the file's quantisation was held against others. */
  readonly quantisation?: QuantisationFigures;
}

/** One setting that was tried. */
export interface Tried {
  readonly what: string;
  readonly kept: boolean;
  readonly why: string;
}

/** Speeds of the same weights in several quantisations, by llama-bench, in tokens per second. */
export interface QuantisationFigures {
  readonly own: QuantisationSpeed;
  readonly others: readonly QuantisationSpeed[];
}
/** One quantisation's; `type` in llama.cpp's name for it, e.g. "Q4_0". */
export interface QuantisationSpeed {
  readonly type: string;
  readonly prompt: Stat;
  readonly generation: Stat;
  readonly bytes: number;
}

/** The tuned profile of a model on a build; undefined where it was never tuned, or the document is not one. */
export function tunedProfile(
  probe: Probe,
  model: ServedModel,
  build: { readonly id: string },
): TunedDocument | undefined {
  const text = probe.text(tunedPath(probe, model, build));
  if (text === undefined) return undefined;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined; // the default serves; the next `--tune` writes it anew
  }
  const document = found as Partial<TunedDocument> | null;
  const profile = parseProfile(document?.profile);
  const { chat, rewrite } = document?.gain ?? {};
  if (document?.schema !== 1 || !profile || typeof document.at !== "string") return undefined;
  if (typeof chat !== "number" || typeof rewrite !== "number") return undefined;
  const quantisation = parseQuantisation(document.quantisation);
  return {
    schema: 1,
    at: document.at,
    model: String(document.model),
    build: String(document.build),
    profile,
    gain: { chat, rewrite },
    tried: Array.isArray(document.tried) ? document.tried.flatMap(parseTried) : [],
    ...(quantisation ? { quantisation } : {}),
  };
}

function parseTried(value: unknown): readonly Tried[] {
  const { what, kept, why } = (value ?? {}) as Partial<Tried>;
  return typeof what === "string" && typeof why === "string"
    ? [{ what, kept: kept === true, why }]
    : [];
}

function parseQuantisation(value: unknown): QuantisationFigures | undefined {
  const { own, others } = (value ?? {}) as Partial<QuantisationFigures>;
  const mine = parseSpeed(own);
  if (!mine || !Array.isArray(others)) return undefined;
  return { own: mine, others: others.flatMap((one: unknown) => parseSpeed(one) ?? []) };
}

function parseSpeed(value: unknown): QuantisationSpeed | undefined {
  const from = (value ?? {}) as Partial<QuantisationSpeed>;
  const prompt = parseStat(from.prompt);
  const generation = parseStat(from.generation);
  if (typeof from.type !== "string" || typeof from.bytes !== "number") return undefined;
  return prompt && generation
    ? { type: from.type, bytes: from.bytes, prompt, generation }
    : undefined;
}
