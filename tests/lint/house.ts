/** The house as the layer rule sees it: which part of the tree may import which. */

/** A part of the tree. "vocabulary" is what every part speaks: types, errors, names and paths. */
export type Layer =
  | "script"
  | "build"
  | "room"
  | "facts"
  | "engine"
  | "keep"
  | "machine"
  | "vocabulary"
  | "data"
  | "tests";

/** What each part may import besides types. Downward only: scripts, rooms, keep, machine. */
const MAY_IMPORT: Readonly<Record<Layer, readonly Layer[]>> = {
  tests: [
    "tests",
    "script",
    "build",
    "engine",
    "room",
    "facts",
    "keep",
    "machine",
    "vocabulary",
    "data",
  ],
  build: ["script", "engine", "room", "facts", "keep", "machine", "vocabulary", "data"],
  script: ["script", "engine", "room", "facts", "keep", "machine", "vocabulary", "data"],
  engine: ["engine", "room", "facts", "keep", "machine", "vocabulary", "data"],
  room: ["engine", "room", "facts", "keep", "machine", "vocabulary", "data"],
  keep: ["keep", "machine", "vocabulary", "data"],
  machine: ["machine", "vocabulary", "data"],
  vocabulary: ["vocabulary", "data"],
  facts: ["facts"],
  data: [],
};

/** Parts that may touch the world: processes, files, sockets. The build script and the tests are no part of the program. */
const IN_THE_WORLD: ReadonlySet<Layer> = new Set(["machine", "build", "tests"]);

/** Modules of the runtime that compute and touch nothing. */
const PURE = new Set([
  "assert",
  "async_hooks",
  "buffer",
  "crypto",
  "events",
  "path",
  "perf_hooks",
  "readline",
  "readline/promises",
  "stream",
  "stream/promises",
  "string_decoder",
  "timers",
  "timers/promises",
  "tty",
  "url",
  "util",
  "zlib",
]);

/** Modules of the runtime by their bare names: `fs` is `node:fs`. */
const RUNTIME = new Set([
  ...PURE,
  "child_process",
  "cluster",
  "dgram",
  "diagnostics_channel",
  "dns",
  "dns/promises",
  "fs",
  "fs/promises",
  "http",
  "http2",
  "https",
  "inspector",
  "module",
  "net",
  "os",
  "process",
  "repl",
  "tls",
  "trace_events",
  "v8",
  "vm",
  "wasi",
  "worker_threads",
]);

/** Packages that touch the world themselves, and where they may be imported besides `lib/machine`. */
const WORLDLY: Readonly<Record<string, readonly string[]>> = {
  zx: [],
  systeminformation: [],
  "proper-lockfile": ["lib/keep/"],
  "node-llama-cpp": ["lib/llm/"],
};

/** Packages that cost milliseconds at start: loaded with `await import()` where they are used (figures: README, start-up). */
const HEAVY = new Set([
  "consola",
  "zx",
  "systeminformation",
  "yaml",
  "proper-lockfile",
  "node-llama-cpp",
]);

/** The part that a file belongs to. `path` is relative to the repository. */
export function layerOf(path: string): Layer {
  if (path.startsWith("tests/")) return "tests";
  if (path === "scripts/build.ts") return "build";
  if (path.startsWith("scripts/")) return "script";
  if (/^lib\/(unit|errors|roster|keep\/home)\.ts$/.test(path)) return "vocabulary";
  if (path.startsWith("lib/machine/")) return "machine";
  if (path.startsWith("lib/keep/")) return "keep";
  if (path.startsWith("lib/facts/")) return "facts";
  if (/^lib\/[^/]+$/.test(path)) return "engine";
  if (path.startsWith("lib/")) return "room";
  return "data";
}

/** Whether a file may touch the world itself. */
export function isInTheWorld(path: string): boolean {
  return IN_THE_WORLD.has(layerOf(path));
}

/** One import, as the rule judges it. */
export interface Import {
  /** The importing file, relative to the repository. */
  readonly from: string;
  /** What it imports, as written; a file is relative to the repository, starting with "./". */
  readonly what: string;
  /** Loaded with `await import()`. */
  readonly late: boolean;
}

/** Why an import breaks the layer rule; undefined where it does not. Type-only imports are never asked about. */
export function objection({ from, what, late }: Import): string | undefined {
  const layer = layerOf(from);
  if (what.startsWith("./")) {
    const target = layerOf(what.slice(2));
    if (MAY_IMPORT[layer].includes(target)) return undefined;
    return `${layer} may not import ${target} (${what.slice(2)}): types only, or move it down a layer`;
  }
  if (layer === "tests" || layer === "build") return undefined;
  if (layer === "facts") return "facts are pure: they import nothing but types and each other";
  const name = what.replace(/^node:/, "");
  if (what.startsWith("bun:") || what === "bun" || (RUNTIME.has(name) && !PURE.has(name))) {
    return layer === "machine" ? undefined : `only lib/machine imports ${what}: use Probe or Act`;
  }
  const packageName = name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");
  const homes = WORLDLY[packageName];
  if (homes && layer !== "machine" && !homes.some((folder) => from.startsWith(folder))) {
    return `only lib/machine${homes.map((folder) => ` and ${folder}`).join("")} may import ${packageName}`;
  }
  return HEAVY.has(packageName) && !late
    ? `${packageName} is slow to load: await import() it where it is used`
    : undefined;
}
