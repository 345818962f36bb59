/** What `--tune` left for a model on a build. */
import { inHome } from "../keep/home.ts";
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
  return {
    schema: 1,
    at: document.at,
    model: String(document.model),
    build: String(document.build),
    profile,
    gain: { chat, rewrite },
  };
}
