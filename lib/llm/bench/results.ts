/** Documents that measuring leaves: one per measurement, only ever added to, and a baseline per host, model, build and profile. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import { sha256 } from "../../machine/hash.ts";
import type { Probe } from "../../machine/probe.ts";
import type { Profile } from "../settings.ts";
import { parseProfile, profileJson } from "../profile_form.ts";
import { parseStat, type Stat } from "./stats.ts";

/** Tokens per request of a measurement. Figures are compared only where these are the same. */
export interface LoadSize {
  readonly prompt: number;
  readonly generate: number;
}

/** Speeds in tokens per second, times in milliseconds. */
export interface ServedFigures {
  /** Requests at once. */
  readonly concurrent: number;
  /** Per request, as the engine measured it. */
  readonly prompt: Stat;
  readonly generation: Stat;
  readonly firstTokenMs: Stat;
  /** Generated tokens of all requests per second of the whole round. */
  readonly total: Stat;
}

/** What the machine did meanwhile. What could not be read is left out, never guessed. */
export interface Conditions {
  readonly governor?: string;
  readonly preference?: string;
  readonly turbo?: boolean;
  readonly celsius?: { readonly before: number; readonly most: number };
  /** Hz, mean over all cores and samples. */
  readonly clock?: { readonly mean: number; readonly most?: number };
  /** Times the processor slowed itself down for heat, and for how long where it counts that. */
  readonly throttled?: { readonly times: number; readonly ms?: number };
  /** Joules of the processor package, and tokens generated per joule in the served load. */
  readonly energy?: { readonly joules: number; readonly watts: number };
  readonly gpu?: { readonly celsius?: number; readonly watts?: number; readonly clock?: number };
  /** Share of all processors that other programs took, 0 to 1. */
  readonly othersBusy?: number;
  readonly onBattery?: boolean;
}

/** One measurement. */
export interface BenchResult {
  readonly schema: 1;
  /** UTC, ISO 8601, when it was complete. */
  readonly at: string;
  readonly took_ms: number;
  readonly model: { readonly name: string; readonly sha256: string; readonly bytes: number };
  readonly build: string;
  readonly profile: Profile;
  readonly load: LoadSize;
  /** llama-bench's own figures, without any server, in tokens per second. */
  readonly bench: { readonly prompt: Stat; readonly generation: Stat };
  readonly served: readonly ServedFigures[];
  /** Most memory that the engine held, in bytes. */
  readonly rss?: number;
  readonly readyMs: number;
  readonly conditions: Conditions;
}

/** The figures that later measurements are held against. */
export interface Baseline {
  readonly schema: 1;
  readonly at: string;
  readonly model: string;
  readonly build: string;
  readonly load: LoadSize;
  readonly figures: Figures;
  /** Set where the operator took a slower result as the new measure (`--accept`). */
  readonly accepted: boolean;
}

/** The four figures that are judged, by name. */
export const JUDGED = [
  "bench.prompt",
  "bench.generation",
  "served.prompt",
  "served.generation",
] as const;
export type FigureName = (typeof JUDGED)[number];
/** The judged figures, as far as they were measured. */
export type Figures = Readonly<Partial<Record<FigureName, Stat>>>;

/** The judged figures of a result: llama-bench's, and those of one request at a time. */
export function figuresOf(result: BenchResult): Figures {
  const single = result.served.find((one) => one.concurrent === 1);
  return {
    "bench.prompt": result.bench.prompt,
    "bench.generation": result.bench.generation,
    ...(single ? { "served.prompt": single.prompt, "served.generation": single.generation } : {}),
  };
}

/** What a series of results has in common: figures within one can be compared. */
export interface Series {
  readonly model: string;
  readonly build: string;
  readonly profile: string;
}

/** Short hash of a profile: the same settings, the same hash. */
export function profileHash(profile: Profile): string {
  const sorted = Object.entries(profileJson(profile)).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(JSON.stringify(sorted)).slice(0, 8);
}

/** The series of a model on a build under a profile. */
export function seriesOf(modelSha256: string, build: string, profile: Profile): Series {
  return { model: modelSha256.slice(0, 16), build, profile: profileHash(profile) };
}
/** True where figures of both can be compared. */
export function sameSeries(a: Series, b: Series): boolean {
  return a.model === b.model && a.build === b.build && a.profile === b.profile;
}

type Where = Pick<Probe, "home" | "host">;

/** Path of a result: results are numbered within their series, so that none is ever written twice. */
export function resultPath(where: Where, series: Series, number: number): string {
  const name = `${String(number).padStart(4, "0")}.json`;
  return join(inHome.bench(where.home, where.host, "results"), folderOf(series), name);
}
/** Path of the measure that a series' later results are held against. */
export function baselinePath(where: Where, series: Series): string {
  return inHome.bench(where.home, where.host, "baselines", `${folderOf(series)}.json`);
}
function folderOf({ model, build, profile }: Series): string {
  return `${model}-${build}-${profile}`;
}

/** A result as it was found: with the path and number it has, for the next one's. */
export interface KeptResult {
  readonly path: string;
  readonly number: number;
  readonly series: Series;
  readonly result: BenchResult;
}

/** All results of this host, oldest first. What is no result is named in `damaged`, never deleted. */
export function readResults(probe: Probe): {
  readonly results: readonly KeptResult[];
  readonly damaged: readonly string[];
  /** Highest number that a series has used, damaged ones included. */
  readonly numbers: ReadonlyMap<string, number>;
} {
  const top = inHome.bench(probe.home, probe.host, "results");
  const results: KeptResult[] = [];
  const damaged: string[] = [];
  const numbers = new Map<string, number>();
  for (const folder of probe.list(top)) {
    for (const name of probe.list(join(top, folder))) {
      const number = Number(/^(\d{4,})\.json$/.exec(name)?.[1]);
      if (Number.isNaN(number)) continue;
      numbers.set(folder, Math.max(numbers.get(folder) ?? 0, number));
      const path = join(top, folder, name);
      const result = parseResult(probe.text(path) ?? "");
      if (!result) damaged.push(path);
      else {
        const series = seriesOf(result.model.sha256, result.build, result.profile);
        results.push({ path, number, series, result });
      }
    }
  }
  results.sort((a, b) => a.result.at.localeCompare(b.result.at) || a.number - b.number);
  return { results, damaged, numbers };
}

/** The number of a series' next result. */
export function nextNumber(numbers: ReadonlyMap<string, number>, series: Series): number {
  return (numbers.get(folderOf(series)) ?? 0) + 1;
}

/** All baselines of this host. One that is damaged is passed over: the next measurement sets it anew. */
export function readBaselines(probe: Probe): readonly (Baseline & { readonly series: Series })[] {
  const top = inHome.bench(probe.home, probe.host, "baselines");
  return probe.list(top).flatMap((name) => {
    const [model, profile] = [name.slice(0, 16), name.slice(0, -".json".length).slice(-8)];
    const baseline = parseBaseline(probe.text(join(top, name)) ?? "");
    return baseline ? [{ ...baseline, series: { model, build: baseline.build, profile } }] : [];
  });
}

/** A baseline from its text, checked. */
export function parseBaseline(text: string): Baseline | undefined {
  const from = record(parse(text));
  const figures: Partial<Record<FigureName, Stat>> = {};
  const given = record(from?.["figures"]);
  for (const name of JUDGED) {
    const one = parseStat(given?.[name]);
    if (one) figures[name] = one;
  }
  const load = parseLoad(from?.["load"]);
  const { at, model, build, accepted } = from ?? {};
  if (from?.["schema"] !== 1 || !load || !isTime(at)) return undefined;
  if (typeof model !== "string" || typeof build !== "string") return undefined;
  return { schema: 1, at, model, build, load, figures, accepted: accepted === true };
}

/** A result from its text, checked; undefined where it is none. Conditions are kept as far as they are numbers and words. */
export function parseResult(text: string): BenchResult | undefined {
  const from = record(parse(text));
  const model = record(from?.["model"]);
  const bench = record(from?.["bench"]);
  const profile = parseProfile(from?.["profile"]);
  const load = parseLoad(from?.["load"]);
  const prompt = parseStat(bench?.["prompt"]);
  const generation = parseStat(bench?.["generation"]);
  const { at, took_ms, build, served, rss, readyMs, conditions } = from ?? {};
  const { name, sha256: hash, bytes } = model ?? {};
  if (from?.["schema"] !== 1 || !isTime(at) || !profile || !load || !prompt || !generation)
    return undefined;
  if (typeof name !== "string" || typeof hash !== "string" || typeof bytes !== "number")
    return undefined;
  if (typeof build !== "string" || !Array.isArray(served)) return undefined;
  const rounds = served.map(parseServed);
  return {
    schema: 1,
    at,
    took_ms: typeof took_ms === "number" ? took_ms : 0,
    model: { name, sha256: hash, bytes },
    build,
    profile,
    load,
    bench: { prompt, generation },
    served: rounds.filter((one) => one !== undefined),
    ...(typeof rss === "number" ? { rss } : {}),
    readyMs: typeof readyMs === "number" ? readyMs : 0,
    conditions: record(conditions) ?? {},
  };
}

function parseServed(value: unknown): ServedFigures | undefined {
  const from = record(value);
  const concurrent = from?.["concurrent"];
  const prompt = parseStat(from?.["prompt"]);
  const generation = parseStat(from?.["generation"]);
  const firstTokenMs = parseStat(from?.["firstTokenMs"]);
  const total = parseStat(from?.["total"]);
  if (typeof concurrent !== "number" || !prompt || !generation || !firstTokenMs || !total) {
    return undefined;
  }
  return { concurrent, prompt, generation, firstTokenMs, total };
}

function parseLoad(value: unknown): LoadSize | undefined {
  const { prompt, generate } = record(value) ?? {};
  return typeof prompt === "number" && typeof generate === "number"
    ? { prompt, generate }
    : undefined;
}
function isTime(value: unknown): value is string {
  return typeof value === "string" && !Number.isNaN(Date.parse(value));
}
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

/** A document as it is written: one line per top-level member would be noise in a diff nobody makes, so plain indented JSON. */
export function documentText(document: BenchResult | Baseline): string {
  return `${JSON.stringify(document, null, 1)}\n`;
}
