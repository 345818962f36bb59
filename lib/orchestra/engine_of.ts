/** The engine that answers: one that `serve` has running, or one started for this question alone. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { isGone, lockHolder } from "../keep/lock.ts";
import { liveBuild } from "../llm/builds.ts";
import { servedProfile, type ServedModel, type ServingBuild } from "../llm/profile.ts";
import type { Asked } from "../llm/complete.ts";
import { installedModels } from "../llm/store.ts";
import type { Probe } from "../machine/probe.ts";
import type { CallContext } from "../unit.ts";
import { SERVE_LOCK } from "./names.ts";

/** What `serve` says of itself in runtime/work/serving.json while it runs. */
export interface Serving {
  readonly url: string;
  readonly keyFile: string;
  readonly model: string;
  readonly build: string;
}

/** Where `serve` says it; gone when it has ended. */
export function servingPath(probe: Probe): string {
  return inHome.work(probe.home, "serving.json");
}

/** The engine that `serve` has running; undefined where none is, or it is not ready yet. Only loopback and keys of this home are believed. */
export function runningEngine({
  probe,
  act,
}: Pick<CallContext, "probe" | "act">): Serving | undefined {
  const holder = lockHolder(probe, act, SERVE_LOCK);
  const text = holder && !isGone(probe, holder) ? probe.text(servingPath(probe)) : undefined;
  if (text === undefined) return undefined;
  let value: Partial<Record<keyof Serving, unknown>>;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return undefined;
  }
  const { url, keyFile, model, build } = value;
  const believable =
    typeof url === "string" &&
    /^http:\/\/127\.0\.0\.1:\d{1,5}$/.test(url) &&
    typeof keyFile === "string" &&
    keyFile.startsWith(`${inHome.keys(probe.home)}/`) &&
    !keyFile.includes("/../");
  if (!believable || typeof model !== "string" || typeof build !== "string") return undefined;
  return { url, keyFile, model, build };
}

/** A running engine as something that can be asked. */
export function askedOf(
  { probe, signal }: Pick<CallContext, "probe" | "signal">,
  serving: Serving,
): Asked {
  const key = probe.text(serving.keyFile)?.split("\n", 1)[0]?.trim();
  if (!key) {
    throw new ShelterError(
      "engine-key",
      `the key file ${serving.keyFile}`,
      "it can't be read or is empty",
      ["./bin/shelter", "serve"],
    );
  }
  return {
    post: (path, body, until) =>
      probe.get(serving.url + path, {
        method: "POST",
        headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.any([signal, ...(until ? [until] : [])]),
        timeout: false,
      } as RequestInit),
  };
}

/** The live build, a model and the profile that it is served with. Throws a ShelterError where one is missing. */
export async function engineFor(probe: Probe, wanted: string | undefined) {
  const build = liveBuild(probe);
  if (!build) {
    throw new ShelterError("no-engine", "asking a model", "no engine is live yet", [
      "./bin/03_build_llama_cpp",
    ]);
  }
  const model = chosen(await installedModels(probe), wanted);
  const serving: ServingBuild = build;
  return { build: serving, model, profile: servedProfile(probe, model, serving) };
}

/** The model of that name; the highest in rank, then the largest, where none was named. */
export function chosen<
  M extends ServedModel & { readonly entry?: { readonly rank?: number } | undefined },
>(models: readonly M[], wanted: string | undefined): M {
  const best = [...models].sort(
    (a, b) => (b.entry?.rank ?? 0) - (a.entry?.rank ?? 0) || b.bytes - a.bytes,
  );
  const model = wanted === undefined ? best[0] : models.find((one) => one.name === wanted);
  if (model) return model;
  if (wanted === undefined) {
    throw new ShelterError("no-model", "asking a model", "none is installed", [
      "./bin/03_install_models",
    ]);
  }
  const names = models.map((one) => one.name).join(", ") || "none";
  throw new ShelterError("no-such-model", `the model ${wanted}`, `installed here: ${names}`, [
    "./bin/03_install_models",
    "--help",
  ]);
}
