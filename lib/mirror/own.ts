/** What this host would send a peer, held against what the peer has of it. Reads only. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import type { Hashes } from "./hashes.ts";
import { isQuiet, isWithin, MIRROR, ownedBy, releaseFolder, SHARED } from "./places.ts";
import { type FoundFile, type RefusedEntry, scan } from "./scan.ts";
import type { Listed, Manifest } from "./wire.ts";

/** A file of this host's that stays behind, because what the peer has of it is better. */
export interface HeldBack {
  readonly path: string;
  readonly why: string;
  /** What the peer holds, and keeps. */
  readonly instead: Listed;
}

/** This host's side of a mirror to one peer. */
export interface OwnSide {
  readonly files: readonly FoundFile[];
  readonly links: Manifest["links"];
  readonly refused: readonly RefusedEntry[];
  readonly heldBack: readonly HeldBack[];
  /** What the next generation has and the last has not, with the bytes of it. */
  readonly fresh: readonly { readonly path: string; readonly bytes: number }[];
  /** What the last generation has and the next has not. */
  readonly gone: readonly string[];
  /** True where something is new that is not the mirror's own record of itself. */
  readonly news: boolean;
}

/** Programs of a release are one file with many names: it goes over once, and gets its names there. */
const RELEASE_FILES = ["shelter", "SHA256SUMS", "SHA256SUMS.sig"];

/** What is scanned for a peer. `release` tells whether the programs that were built for it go along. */
export function scanFor(probe: Probe, peer: HostName, release: boolean) {
  const programs = releaseFolder(peer);
  const owned = ownedBy(probe.host, peer).filter((top) => top !== programs);
  const parts = [
    scan(probe, owned, false),
    scan(probe, SHARED, true),
    scan(probe, release ? RELEASE_FILES.map((one) => `${programs}/${one}`) : [], false),
  ];
  return {
    files: parts.flatMap((one) => one.files),
    links: parts.flatMap((one) => one.links),
    refused: parts.flatMap((one) => one.refused),
  };
}

/**
 * Compares with the manifest that the peer holds. Only what changed since it was last hashed is read.
 * @param sentAnyway paths that the operator said to send as they are.
 */
export async function ownSide(
  probe: Probe,
  peer: HostName,
  held: Manifest | undefined,
  hashes: Hashes,
  options: { readonly release: boolean; readonly sentAnyway: ReadonlySet<string> },
): Promise<OwnSide> {
  const { files, links, refused } = scanFor(probe, peer, options.release);
  const there = new Map(held?.files.map((one) => [one.path, one]));
  const going: FoundFile[] = [];
  const heldBack: HeldBack[] = [];
  const fresh: { path: string; bytes: number }[] = [];
  const gone: string[] = [];
  let news = false;
  for (const file of files) {
    const last = there.get(file.path);
    there.delete(file.path);
    const verdict = await compare(probe, file, last, hashes);
    if (last && verdict.damaged !== undefined && !options.sentAnyway.has(file.path)) {
      heldBack.push({ path: file.path, why: verdict.damaged, instead: last });
      continue;
    }
    if (!last && verdict.damaged !== undefined) {
      refused.push({ path: file.path, why: verdict.damaged });
      continue;
    }
    going.push(file);
    if (verdict.same) continue;
    fresh.push({ path: file.path, bytes: verdict.bytes });
    news ||= options.sentAnyway.has(file.path);
    news ||= verdict.news && !isQuiet(file.path, probe.host);
  }
  for (const [path, last] of there) {
    // what stands in its way says nothing of the file itself
    const unseen = refused.find((one) => isWithin(path, one.path));
    if (unseen && !options.sentAnyway.has(path)) {
      heldBack.push({ path, why: unseen.why, instead: last });
      continue;
    }
    gone.push(path);
    news ||= !isQuiet(path, probe.host);
  }
  const linked = new Map(held?.links.map((one) => [one.path, one.target]));
  for (const { path, target } of links) {
    if (linked.get(path) !== target) fresh.push({ path, bytes: 0 });
    linked.delete(path);
  }
  gone.push(...linked.keys());
  news ||= fresh.some((one) => links.some((link) => link.path === one.path)) || linked.size > 0;
  return { files: going, links, refused, heldBack, fresh, gone, news };
}

interface Compared {
  readonly same: boolean;
  /** Bytes that are new. */
  readonly bytes: number;
  /** Whether what is new counts, where it is not the mirror's own. */
  readonly news: boolean;
  /** Why it must not take the place of what the peer has. */
  readonly damaged?: string;
}

async function compare(
  probe: Probe,
  file: FoundFile,
  last: Listed | undefined,
  hashes: Hashes,
): Promise<Compared> {
  const { path, bytes, key } = file;
  const damaged = brokenDocument(probe, path);
  if (damaged !== undefined) return { same: false, bytes, news: false, damaged };
  if (!last) return { same: false, bytes, news: !isOwnRecord(probe, file, 0) };
  if (!file.grows) {
    const same = bytes === last.bytes && (await hashes.of(path, key)) === last.sha256;
    return { same, bytes: same ? 0 : bytes, news: !same };
  }
  if (bytes === last.bytes && hashes.remembered(path, key) === last.sha256) {
    return { same: true, bytes: 0, news: false };
  }
  if (bytes < last.bytes) {
    const why = `it has ${bytes} bytes, and had ${last.bytes}: a log does not shrink`;
    return { same: false, bytes, news: false, damaged: why };
  }
  const before = await probe.sha256(join(probe.home, path), undefined, undefined, last.bytes);
  if (before !== last.sha256) {
    const why = "its beginning is not what was mirrored: a log only grows";
    return { same: false, bytes, news: false, damaged: why };
  }
  if (bytes === last.bytes) {
    hashes.note(path, key, before);
    return { same: true, bytes: 0, news: false };
  }
  const more = bytes - last.bytes;
  return { same: false, bytes: more, news: !isOwnRecord(probe, file, last.bytes) };
}

/** Documents that only programs write: one that can't be read was damaged. */
function brokenDocument(probe: Probe, path: string): string | undefined {
  if (!/^(?:status|runtime\/inventory)\/.*\.json$/.test(path)) return undefined;
  try {
    JSON.parse(probe.text(join(probe.home, path)) ?? "");
    return undefined;
  } catch (error) {
    return `it is damaged: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Lines of the journal after `from` bytes that are all of the mirror's own runs. A torn line says nothing. */
function isOwnRecord(probe: Probe, { path, bytes }: FoundFile, from: number): boolean {
  if (!path.startsWith("logs/journal/")) return false;
  const added = probe.bytes(join(probe.home, path), from, bytes - from);
  return new TextDecoder()
    .decode(added)
    .split("\n")
    .every((line) => {
      if (line === "") return true;
      try {
        return (JSON.parse(line) as { readonly script?: unknown }).script === MIRROR;
      } catch {
        return true;
      }
    });
}
