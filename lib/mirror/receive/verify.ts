/** Looks at what arrived, before any of it goes live: only what the manifest names stays, and each file must be what it says. */
import { dirname, join } from "node:path";
import { ShelterError } from "../../errors.ts";
import type { Act } from "../../machine/act.ts";
import type { Entry, Probe } from "../../machine/probe.ts";
import { linkOnTheWay } from "../way.ts";
import type { Listed, Manifest } from "../wire.ts";

/** Hands of a commit. */
export interface Hands {
  readonly probe: Probe;
  readonly act: Act;
}

/** A generation that is whole, or what must be sent once more. */
export type Verified =
  | { readonly whole: true }
  | { readonly whole: false; readonly again: readonly string[] };

/**
 * Makes the arriving folder hold exactly what the manifest says. What is missing and stands in `last` (the live generation) with the same hash is taken
 * from there: so files are kept that the peer holds back.
 */
export async function verifyArrived(
  { probe, act }: Hands,
  arriving: string,
  manifest: Manifest,
  last: { readonly folder: string; readonly files: ReadonlyMap<string, Listed> } | undefined,
): Promise<Verified> {
  const wanted = new Set(manifest.files.map((one) => one.path));
  const folders = foldersOf([...manifest.files, ...manifest.links].map((one) => one.path));
  const there = new Map<string, Entry>();
  const extra: string[] = [];
  // rsync's own half-sent files are among what is extra
  for (const entry of probe.tree(arriving)) {
    const path = entry.path.slice(arriving.length + 1);
    const fits =
      entry.kind === "dir" ? folders.has(path) : entry.kind === "file" && wanted.has(path);
    if (fits) there.set(path, entry);
    else extra.push(entry.path);
  }
  for (const path of extra) act.remove(path);
  const again: string[] = [];
  for (const listed of manifest.files) {
    const entry = there.get(listed.path);
    const same = last?.files.get(listed.path);
    const held = same?.sha256 === listed.sha256 && same.bytes === listed.bytes;
    if (entry === undefined && last !== undefined && held) {
      takeFrom(act, join(last.folder, listed.path), join(arriving, listed.path));
    }
    if (!(await isWhole({ probe, act }, join(arriving, listed.path), listed)))
      again.push(listed.path);
    else maskMode({ probe, act }, join(arriving, listed.path));
  }
  return again.length > 0 ? { whole: false, again } : { whole: true };
}

/** Of the modes that a peer's rsync sets only one bit counts: whether it is a program. */
function maskMode({ probe, act }: Hands, path: string): void {
  const mode = probe.stat(path)?.mode ?? 0;
  const wanted = (mode & 0o100) === 0 ? 0o600 : 0o700;
  if (mode !== wanted) act.chmod(path, wanted);
}

/** Makes the manifest's links, last of all: while a generation is arriving the peer's rsync writes into it, and must meet none. */
export function makeLinks({ probe, act }: Hands, arriving: string, links: Manifest["links"]): void {
  for (const { path, target } of links) {
    const link = linkOnTheWay(probe, arriving, path);
    if (link !== undefined) {
      throw new ShelterError("request-refused", `making the link ${path}`, `${link} is no folder`);
    }
    act.makeFolder(dirname(join(arriving, path)));
    act.link(join(arriving, path), target);
  }
}

/** Takes all links of a generation away, before it is one that is still arriving again. */
export function removeLinks({ probe, act }: Hands, folder: string): void {
  for (const { kind, path } of probe.tree(folder)) if (kind === "link") act.remove(path);
}

async function isWhole({ probe, act }: Hands, path: string, listed: Listed): Promise<boolean> {
  const entry = probe.stat(path);
  if (entry?.kind !== "file" || entry.size < listed.bytes) return false;
  if (entry.size > listed.bytes && listed.grows !== true) return false;
  const sha256 = await probe.sha256(path, undefined, undefined, listed.bytes);
  if (sha256 !== listed.sha256) return false;
  if (entry.size === listed.bytes) return true;
  if (entry.links > 1) return false; // cutting it would cut an older generation's too
  act.truncate(path, listed.bytes);
  return true;
}

function takeFrom(act: Act, from: string, to: string): void {
  act.makeFolder(join(to, ".."));
  act.hardLinkOrCopy(from, to);
}

function foldersOf(paths: readonly string[]): ReadonlySet<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const folder = path.slice(0, at);
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  return folders;
}
