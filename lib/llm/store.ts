/**
 * The store of models: models/sha256/<hash> holds the bytes, models/<name>.gguf is a link into it, and runtime/verified/<hash>.json says what was
 * proven of the bytes and of which file: its size, time of change and inode. While these three are the same the proof holds and the file is not
 * hashed again; `03_install_models --verify` hashes it all the same. (A file system can damage bytes without changing any of the three.)
 */
import { basename, join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { lookAtCatalogue, type CatalogueEntry } from "./catalogue.ts";
import type { Gguf } from "./gguf.ts";

/** What the proof keeps of the file's head. */
export type ModelHead = Pick<
  Gguf,
  | "architecture"
  | "quantisation"
  | "types"
  | "layers"
  | "context"
  | "embedding"
  | "kvBytesPerToken"
  | "vocabulary"
  | "parameters"
  | "chatTemplate"
>;

/** A proof: the bytes had this hash and a sound structure at `at`, and the file looked like this. */
export interface Proof {
  readonly schema: 1;
  readonly sha256: string;
  readonly bytes: number;
  /** Milliseconds since 1970, as the file system gives it. */
  readonly mtime: number;
  readonly inode: number;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly head: ModelHead;
}

/** One file of the store. */
export interface StoredFile {
  readonly sha256: string;
  readonly path: string;
  readonly bytes: number;
  /** The proof that holds for the file as it is now. */
  readonly proof?: Proof;
  /** There was a proof, but the file is not the same any more. */
  readonly changed: boolean;
}

/** A name of a model: models/<name>.gguf. */
export interface NamedModel {
  readonly name: string;
  readonly path: string;
  /** Hash that the link leads to; undefined for a link or file that does not lead into the store. */
  readonly sha256?: string;
}

/** A model that may be served: named, there, and proven. */
export interface InstalledModel {
  readonly name: string;
  /** The link: models/<name>.gguf. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  /** UTC, ISO 8601, of its proof. */
  readonly verifiedAt: string;
  readonly head: ModelHead;
  /** The catalogue's entry of the same file, with the sizes that the file itself tells. */
  readonly entry?: CatalogueEntry;
}

const HASH = /^[0-9a-f]{64}$/;
const ENDING = ".gguf";

/** Path of a model's name. */
export function nameOf(home: string, name: string): string {
  return inHome.models(home, name + ENDING);
}
/** What a name's link says: relative, so that a home can be moved. */
export function linkTarget(sha256: string): string {
  return join("sha256", sha256);
}

/** All files of the store, by hash. Files that are not named by a hash are not ours. */
export function storedFiles(
  probe: Pick<Probe, "home" | "list" | "stat" | "text">,
): readonly StoredFile[] {
  return probe.list(inHome.store(probe.home)).flatMap((sha256): readonly StoredFile[] => {
    const path = inHome.store(probe.home, sha256);
    const entry = HASH.test(sha256) ? probe.stat(path) : undefined;
    if (entry?.kind !== "file") return [];
    const proof = readProof(probe.text(inHome.verified(probe.home, sha256)));
    const holds =
      proof?.sha256 === sha256 &&
      proof.bytes === entry.size &&
      proof.mtime === entry.mtime &&
      proof.inode === entry.inode;
    const changed = proof !== undefined && !holds;
    return [{ sha256, path, bytes: entry.size, changed, ...(proof && holds ? { proof } : {}) }];
  });
}

/** All names of models, whether they lead somewhere or not. */
export function namedModels(probe: Pick<Probe, "home" | "list" | "stat">): readonly NamedModel[] {
  return probe.list(inHome.models(probe.home)).flatMap((file): readonly NamedModel[] => {
    if (!file.endsWith(ENDING)) return [];
    const path = inHome.models(probe.home, file);
    const sha256 = basename(probe.stat(path)?.target ?? "");
    const ours = HASH.test(sha256) && probe.stat(path)?.target === linkTarget(sha256);
    return [{ name: file.slice(0, -ENDING.length), path, ...(ours ? { sha256 } : {}) }];
  });
}

/**
 * The models that may be served: named, there, and proven. A file that changed since its proof, or was never proven, is not among them.
 * An operator's catalogue that can't be used is passed over here: 03_install_models says so.
 */
export async function installedModels(probe: Probe): Promise<readonly InstalledModel[]> {
  const { entries } = await lookAtCatalogue(probe);
  return installedOf(storedFiles(probe), namedModels(probe), entries);
}

/** The same from what was read before. Pure. */
export function installedOf(
  files: readonly StoredFile[],
  names: readonly NamedModel[],
  entries: readonly CatalogueEntry[],
): readonly InstalledModel[] {
  return names.flatMap(({ name, path, sha256 }): readonly InstalledModel[] => {
    const file = files.find((one) => one.sha256 === sha256);
    if (!file?.proof) return [];
    const { bytes, proof } = file;
    const same = entries.filter((one) => one.sha256 === file.sha256);
    const entry = same.find((one) => one.name === name) ?? same[0];
    return [
      {
        name,
        path,
        sha256: file.sha256,
        bytes,
        verifiedAt: proof.at,
        head: proof.head,
        ...(entry ? { entry: measured(entry, proof.head) } : {}),
      },
    ];
  });
}

/** Sizes that both the catalogue and the file's head tell. */
export const TOLD_TWICE = [
  "context",
  "layers",
  "kvBytesPerToken",
  "vocabulary",
  "embedding",
] as const;

/** A catalogue entry with the sizes of the file's own head, where that tells them: a catalogue can err, the file is what is loaded. */
export function measured(entry: CatalogueEntry, head: ModelHead): CatalogueEntry {
  const own = TOLD_TWICE.flatMap((key) => (head[key] === undefined ? [] : [[key, head[key]]]));
  return { ...entry, ...(Object.fromEntries(own) as Partial<CatalogueEntry>) };
}

/** A proof from its file's text; undefined where it is none: then the model is simply proven again. */
export function readProof(text: string | undefined): Proof | undefined {
  if (text === undefined) return undefined;
  let proof: Partial<Proof> | null;
  try {
    proof = JSON.parse(text) as Partial<Proof> | null;
  } catch {
    return undefined;
  }
  if (typeof proof !== "object" || proof === null || proof.schema !== 1) return undefined;
  const { sha256, bytes, mtime, inode, at, head } = proof;
  const sound =
    typeof sha256 === "string" &&
    [bytes, mtime, inode].every((one) => typeof one === "number") &&
    typeof at === "string" &&
    !Number.isNaN(Date.parse(at)) &&
    typeof head === "object" &&
    Array.isArray((head as Partial<ModelHead> | null)?.types);
  return sound ? (proof as Proof) : undefined;
}
