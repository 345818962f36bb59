/** The engine's builds in a home: one folder each under runtime/llama.cpp, and the link `current` to the live one. */
import { join } from "node:path";
import { json, members } from "../facts/text.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Json } from "../unit.ts";

/** What a build may compute with beside the CPU. */
export const ACCELERATORS = ["cuda", "vulkan"] as const;
export type Backend = "cpu" | (typeof ACCELERATORS)[number];

/** build-info.json: how a build was made, and what it made. */
export interface BuildInfo {
  readonly schema: 1;
  readonly id: string;
  readonly tag: string;
  readonly commit: string;
  /** git's hash of the whole source. */
  readonly tree: string;
  readonly backends: readonly Backend[];
  /** cmake's -D arguments, as given. */
  readonly flags: readonly string[];
  /** Everything that decided the outcome, by name; `id` is its hash. */
  readonly inputs: { readonly [name: string]: string };
  /** What the operator wanted with or without, e.g. {with: [], without: ["vulkan"]}. */
  readonly asked: { readonly with: readonly string[]; readonly without: readonly string[] };
  readonly generator: string;
  readonly ccache: boolean;
  readonly jobs: number;
  /** UTC, ISO 8601. */
  readonly started: string;
  readonly took_ms: number;
  /** What it made, by path below the build's folder. */
  readonly files: { readonly [path: string]: { readonly sha256: string; readonly bytes: number } };
}

/** One build. `program` gives the absolute path of a program of it, e.g. "llama-server". */
export interface Build {
  readonly id: string;
  readonly folder: string;
  readonly info: BuildInfo;
  program(name: string): string;
}

const INFO = "build-info.json";
/** Beside it once the build answered correctly on this host. */
export const PROOF = "proof.json";

/** Path of the link to the live build. */
export function liveLink(home: string): string {
  return inHome.engines(home, "current");
}

/** Whole builds in the home, newest first. A folder without a readable build-info.json is none: builds get theirs last. */
export function builds(probe: Pick<Probe, "home" | "list" | "text">): readonly Build[] {
  return probe
    .list(inHome.engines(probe.home))
    .filter((name) => BUILD_ID.test(name))
    .flatMap((name) => {
      const build = readBuild(probe, name);
      return build ? [build] : [];
    })
    .sort((a, b) => b.info.started.localeCompare(a.info.started) || a.id.localeCompare(b.id));
}

/** The live build; undefined where there is none, or where the link leads to something that is none. */
export function liveBuild(probe: Pick<Probe, "home" | "stat" | "text">): Build | undefined {
  const target = probe.stat(liveLink(probe.home))?.target;
  return target === undefined || !BUILD_ID.test(target) ? undefined : readBuild(probe, target);
}

/** Form of a build's id. */
export const BUILD_ID = /^b-[0-9a-f]{12}$/;

function readBuild(probe: Pick<Probe, "home" | "text">, id: string): Build | undefined {
  const folder = inHome.engines(probe.home, id);
  const info = parseBuildInfo(json(probe.text(join(folder, INFO)) ?? ""));
  if (info?.id !== id) return undefined;
  return { id, folder, info, program: (name) => join(folder, "bin", name) };
}

/** Checks a build-info.json; undefined where any of it is not one. */
export function parseBuildInfo(value: unknown): BuildInfo | undefined {
  const from = members(value);
  const text = (key: string) => (typeof from[key] === "string" ? from[key] : undefined);
  const number = (key: string) => {
    const one = from[key];
    return typeof one === "number" && Number.isFinite(one) && one >= 0 ? one : undefined;
  };
  const [id, tag, commit, tree, generator, started] = [
    "id",
    "tag",
    "commit",
    "tree",
    "generator",
    "started",
  ].map(text);
  const [jobs, tookMs] = [number("jobs"), number("took_ms")];
  const backends = texts(from["backends"])?.filter(isBackend);
  const flags = texts(from["flags"]);
  const asked = members(from["asked"]);
  const [wanted, without] = [texts(asked["with"]), texts(asked["without"])];
  const inputs = entriesOf(from["inputs"], (one) => (typeof one === "string" ? one : undefined));
  const files = entriesOf(from["files"], (one) => {
    const { sha256, bytes } = members(one);
    return typeof sha256 === "string" && typeof bytes === "number" ? { sha256, bytes } : undefined;
  });
  const complete =
    from["schema"] === 1 &&
    id !== undefined &&
    tag !== undefined &&
    commit !== undefined &&
    tree !== undefined &&
    generator !== undefined &&
    started !== undefined &&
    jobs !== undefined &&
    tookMs !== undefined &&
    backends !== undefined &&
    flags !== undefined &&
    wanted !== undefined &&
    without !== undefined &&
    inputs !== undefined &&
    files !== undefined &&
    Object.keys(files).every(isPlainPath);
  if (!complete) return undefined;
  return {
    schema: 1,
    ...{ id, tag, commit, tree, backends, flags, inputs, generator, jobs, started, files },
    asked: { with: wanted, without },
    ccache: from["ccache"] === true,
    took_ms: tookMs,
  };
}

/** proof.json: what the smoke test of a build saw. */
export interface Proof {
  readonly build: string;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly model: string;
  /** Next tokens that were the reference's, of how many, on the CPU and on the device. */
  readonly agreed: { readonly [device: string]: { readonly right: number; readonly of: number } };
  readonly answer: string;
}

/** The proof of a build; undefined where it was not proven, or its proof is another build's. */
export function proofOf(probe: Pick<Probe, "home" | "text">, id: string): Proof | undefined {
  const from = members(json(probe.text(join(inHome.engines(probe.home, id), PROOF)) ?? ""));
  const { build, at, model, answer } = from;
  const agreed = entriesOf(from["agreed"], (one) => {
    const { right, of } = members(one);
    return typeof right === "number" && typeof of === "number" ? { right, of } : undefined;
  });
  if (build !== id || typeof at !== "string" || typeof model !== "string") return undefined;
  if (typeof answer !== "string" || agreed === undefined) return undefined;
  return { build, at, model, answer, agreed };
}

/** A build-info or proof as the text of its file. */
export function asDocument(value: Json): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Where a build's files stand. */
export const infoPath = (folder: string) => join(folder, INFO);
export const proofPath = (folder: string) => join(folder, PROOF);

function isBackend(value: string): value is Backend {
  return value === "cpu" || ACCELERATORS.some((one) => one === value);
}
/** A path that stays below its folder. */
function isPlainPath(path: string): boolean {
  return (
    path !== "" && path.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}
function texts(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
}
function entriesOf<T>(
  value: unknown,
  read: (one: unknown) => T | undefined,
): Record<string, T> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const found: Record<string, T> = {};
  for (const [key, one] of Object.entries(value)) {
    const good = read(one);
    if (good === undefined) return undefined;
    found[key] = good;
  }
  return found;
}
