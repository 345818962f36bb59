/** What 03_install_models sees of a host: catalogue, settings, store, memory and space. Reads only. */
import { basename, dirname, resolve } from "node:path";
import { parseCpuinfo } from "../facts/cpu.ts";
import { NVIDIA_FIELDS, parseNvidiaSmi } from "../facts/gpu.ts";
import { parseMeminfo } from "../facts/memory.ts";
import { configError, lookAtConfig } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Args, HostName } from "../unit.ts";
import { liveBuild } from "./builds.ts";
import { lookAtCatalogue, type Catalogue, type CatalogueEntry } from "./catalogue.ts";
import type { Room } from "./fit.ts";
import { checkModel } from "./prove.ts";
import { namedModels, storedFiles, type NamedModel, type StoredFile } from "./store.ts";

/** A file that `--verify` read again. */
export interface Reread {
  readonly sha256: string;
  /** What does not hold; undefined where all does. */
  readonly damage?: string;
}

/** A file that `--describe` read: what the catalogue would say of it. */
export interface Described {
  readonly path: string;
  readonly entry?: Omit<CatalogueEntry, "origin" | "roles" | "rank">;
  /** Why there is none. */
  readonly problem?: string;
}

/** What 03_install_models sees. */
export interface ModelsFacts {
  readonly home: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** When this run first looked. */
  readonly since: number;
  readonly catalogue: Catalogue;
  /** Models that shared.cfg asks for. */
  readonly configured: readonly string[];
  /** What is wrong with shared.cfg, where it can't be used. */
  readonly configProblem?: { readonly what: string; readonly why: string };
  readonly room: Room;
  /** Free bytes where models are kept and where downloads grow; undefined where the system does not say. */
  readonly space: number | undefined;
  readonly files: readonly StoredFile[];
  readonly names: readonly NamedModel[];
  /** Hashes of proofs whose file is not in the store. */
  readonly orphanProofs: readonly string[];
  /** Bytes of files that are fetched in part, by hash. */
  readonly partial: Readonly<Record<string, number>>;
  /** Only with --verify. */
  readonly reread: readonly Reread[];
  readonly quarantine: { readonly path: string; readonly files: number; readonly bytes: number };
  /** Instruction sets of the processor. */
  readonly isa: readonly string[];
  /** Paired hosts, each with the hashes of the models that it had when it last answered. */
  readonly peers: Readonly<Record<HostName, readonly string[]>>;
  /** Only with --describe. */
  readonly described?: Described;
}

const firstLook = new WeakMap<Probe, number>();

/** Reads what there is. With --verify every stored file is hashed and its structure checked again. */
export async function observeModels(probe: Probe, want: Args): Promise<ModelsFacts> {
  const now = probe.now();
  // one probe is one run: what is proven after its first look was proven by this run
  const since = firstLook.get(probe) ?? now;
  firstLook.set(probe, since);
  const files = storedFiles(probe);
  const config = await lookAtConfig(probe);
  const wrong =
    config.state === "ok" || config.state === "absent"
      ? undefined
      : configError(inHome.config(probe.home), config);
  const folder = inHome.quarantine(probe.home);
  const aside = probe.list(folder).map((name) => probe.stat(`${folder}/${name}`)?.size ?? 0);
  const partial: Record<string, number> = {};
  for (const sha256 of probe.list(inHome.work(probe.home, "fetch"))) {
    const part = probe.stat(inHome.work(probe.home, "fetch", sha256, "part"));
    if (part) partial[sha256] = part.size;
  }
  return {
    home: probe.home,
    now,
    since,
    catalogue: await lookAtCatalogue(probe),
    configured: config.state === "ok" ? config.config.models : [],
    ...(wrong ? { configProblem: { what: wrong.what, why: wrong.why } } : {}),
    room: await roomOf(probe),
    space: smallest([
      freeAt(probe, inHome.store(probe.home)),
      freeAt(probe, inHome.work(probe.home)),
    ]),
    files,
    names: namedModels(probe),
    orphanProofs: orphanProofs(probe, files),
    partial,
    reread: want["verify"] === true ? await rereadAll(probe, files) : [],
    quarantine: {
      path: folder,
      files: aside.length,
      bytes: aside.reduce((sum, one) => sum + one, 0),
    },
    peers: await modelsOfPeers(probe),
    isa: [...parseCpuinfo(probe.text("/proc/cpuinfo") ?? "").isa],
    ...(typeof want["describe"] === "string"
      ? { described: await describeFile(probe, want["describe"]) }
      : {}),
  };
}

/** Paired hosts, each with the hashes of the models that it had when it last answered. What reads their words is loaded only where there are some. */
export async function modelsOfPeers(probe: Probe): Promise<ModelsFacts["peers"]> {
  const names = probe.list(inHome.trust(probe.home)).filter((name) => name.endsWith(".json"));
  if (names.length === 0) return {};
  const { lastContact } = await import("../peer/contact.ts");
  return Object.fromEntries(
    names.map((file) => {
      const name = file.slice(0, -".json".length);
      const models = lastContact(probe, name)?.word.holds.models ?? {};
      return [name, Object.values(models).map((one) => one.sha256)];
    }),
  );
}

function orphanProofs(probe: Probe, files: readonly StoredFile[]): readonly string[] {
  return probe
    .list(dirname(inHome.verified(probe.home, "x")))
    .flatMap((name) => /^([0-9a-f]{64})\.json$/.exec(name)?.[1] ?? [])
    .filter((sha256) => !files.some((one) => one.sha256 === sha256));
}

async function describeFile(probe: Probe, path: string): Promise<Described> {
  const real = probe.real(resolve(path));
  if (real === undefined) return { path, problem: "there is no such file" };
  try {
    const gguf = checkModel(probe, real);
    const { context, layers, kvBytesPerToken, vocabulary, embedding } = gguf;
    if (!context || !layers || kvBytesPerToken === undefined || !vocabulary || !embedding) {
      return { path, problem: "its head does not tell all sizes that memory is reckoned with" };
    }
    const file = basename(real);
    const name = file.replace(/\.gguf$/i, "").replaceAll(/[^A-Za-z0-9._+-]+/g, "-");
    return {
      path,
      entry: {
        name: name.replace(/^[^A-Za-z0-9]+/, "").slice(0, 64) || "model",
        title: gguf.name ?? name,
        file,
        bytes: gguf.bytes,
        sha256: await probe.sha256(real),
        licence: gguf.licence ?? "unknown",
        quantisation: gguf.quantisation ?? "unknown",
        ...{ context, layers, kvBytesPerToken, vocabulary, embedding },
        sources: [{ path: real }],
      },
    };
  } catch (error) {
    return { path, problem: error instanceof Error ? error.message : String(error) };
  }
}

async function rereadAll(probe: Probe, files: readonly StoredFile[]): Promise<readonly Reread[]> {
  const found: Reread[] = [];
  for (const { sha256, path } of files) {
    const hash = await probe.sha256(path);
    let damage = hash === sha256 ? undefined : `its sha256 is ${hash}`;
    try {
      if (damage === undefined) checkModel(probe, path);
    } catch (error) {
      damage = error instanceof Error ? error.message : String(error);
    }
    found.push({ sha256, ...(damage === undefined ? {} : { damage }) });
  }
  return found;
}

async function roomOf(probe: Probe): Promise<Room> {
  const ram = parseMeminfo(probe.text("/proc/meminfo") ?? "")?.available ?? 0;
  // an engine without a GPU back-end leaves the card alone; before the first build the card counts
  const live = liveBuild(probe);
  const blind = live !== undefined && !live.info.backends.some((one) => one !== "cpu");
  if (blind || !probe.which("nvidia-smi")) return { ram };
  const asked = NVIDIA_FIELDS.filter((field) => /^(name|memory\.)/.test(field)).join(",");
  const ran = await probe.$`nvidia-smi --query-gpu=${asked} --format=csv`;
  const cards = ran.code === 0 ? parseNvidiaSmi(ran.stdout) : [];
  const free = cards.flatMap(({ name, vram, vramUsed }) =>
    vram === undefined ? [] : [{ name, free: Math.max(0, vram - (vramUsed ?? 0)) }],
  );
  const [gpu] = free.sort((a, b) => b.free - a.free);
  return gpu ? { ram, gpu } : { ram };
}

/** Free bytes where `path` is or will be. */
function freeAt(probe: Probe, path: string): number | undefined {
  for (let up = path; ; up = dirname(up)) {
    if (probe.stat(up)) return probe.space(up)?.free;
    if (up === dirname(up)) return undefined;
  }
}

function smallest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((one) => one !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
