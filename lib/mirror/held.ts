/** What a host holds of what two hosts share: the same look on both ends. Reads only. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import { namedModels, storedFiles } from "../llm/store.ts";
import { sha256 } from "../machine/hash.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import { Hashes } from "./hashes.ts";
import { agreedPlace, SHARED } from "./places.ts";
import { keyOf, type RefusedEntry, scan } from "./scan.ts";
import { identityOf, linkIdentity, type State, type States } from "./three_way.ts";
import { documentOf, type HeldModel, statesOf } from "./wire.ts";

/** The shared files and folders as they are, and what of them can't be mirrored. */
export interface SharedLook {
  readonly states: States;
  readonly refused: readonly RefusedEntry[];
}

/** Looks at what two hosts may both write. */
export async function lookAtShared(probe: Probe, hashes: Hashes): Promise<SharedLook> {
  const { files, links, refused } = scan(probe, SHARED, true);
  const states: Record<string, string> = {};
  for (const { path, key, mode } of files) {
    states[path] = identityOf(await hashes.of(path, key), mode);
  }
  for (const { path, target } of links) states[path] = linkIdentity(target);
  return { states, refused };
}

/** A memory of the hashes of shared files and own logs. */
export function homeHashes(probe: Probe): Hashes {
  return new Hashes(probe, "home", probe.home);
}

/** A memory of the hashes of models. */
export function modelHashes(probe: Probe): Hashes {
  return new Hashes(probe, "models", inHome.store(probe.home));
}

/** A model's file with what is known of its bytes: "damaged" where they were hashed and are others than its name says. */
export interface OwnModel extends HeldModel {
  readonly names: readonly string[];
  readonly damaged: boolean;
  /** It was proven once and is another file now: it must be read before anything else. */
  readonly suspect: boolean;
}

/** The models of a host. Nothing is read of them: what is known comes from proofs and memory. */
export function heldModels(probe: Probe, hashes: Hashes): readonly OwnModel[] {
  const names = namedModels(probe);
  return storedFiles(probe).map(({ sha256: hash, path, bytes, proof, changed }) => {
    const entry = probe.stat(path);
    const key = entry ? keyOf(entry) : "";
    const known = hashes.remembered(hash, key);
    return {
      sha256: hash,
      bytes,
      proven: proof !== undefined || known === hash,
      damaged: known !== undefined && known !== hash,
      suspect: known === undefined && (changed || hashes.changed(hash, key)),
      names: names.filter((one) => one.sha256 === hash).map((one) => one.name),
    };
  });
}

/** Hashes that a model's name leads to, where no file is. */
export function missingModels(probe: Probe): readonly string[] {
  const there = new Set(storedFiles(probe).map((one) => one.sha256));
  const wanted = namedModels(probe).flatMap((one) => one.sha256 ?? []);
  return [...new Set(wanted)].filter((one) => !there.has(one));
}

/** What this host has written down as agreed with a peer. A damaged note counts as none: then both sides' versions are kept. */
export function agreedWith(probe: Probe, peer: HostName): States {
  const path = agreedPlace(probe.home, probe.host, peer);
  const text = probe.text(path);
  if (text === undefined) return {};
  try {
    return statesOf(documentOf(text, path)["agreed"], path);
  } catch {
    return {};
  }
}

/** The note of what is agreed on, as text. */
export function agreedText(agreed: States): string {
  return `${JSON.stringify({ schema: 1, agreed }, undefined, 1)}\n`;
}

/** The program that a folder's list of hashes names (SHA256SUMS); null where there is none. */
export function programOf(probe: Pick<Probe, "text">, folder: string): State {
  const sums = probe.text(join(folder, "SHA256SUMS")) ?? "";
  return /^([0-9a-f]{64}) {2}shelter$/m.exec(sums)?.[1] ?? null;
}

/** The key that a peer's release has among the agreed states. */
export function releaseKey(peer: HostName): string {
  return `bin/hosts/${peer}`;
}

/** The key that a model has among the agreed states. */
export function modelKey(hash: string): string {
  return `models/sha256/${hash}`;
}

/** A document's own hash, by which both ends know that they mean the same one. */
export function digestOf(text: string): string {
  return sha256(text);
}
