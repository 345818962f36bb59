/** Looking at what was mirrored in the lab, from outside: every byte of the live generation against its list. */
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Manifest } from "../../lib/mirror/wire.ts";
import type { LabHost } from "./host.ts";
import { HOME } from "./two_hosts.ts";

/** Of the lab's one user. */
const UID = 1000;

/** A path of a host's home, as we see it. */
export function inside(host: LabHost, path: string): string {
  return join(host.root, HOME, path);
}

/** Writes a file into a home, its owner's. */
export function put(host: LabHost, path: string, content: string | Uint8Array): void {
  const to = inside(host, path);
  for (const folder of missing(dirname(to))) {
    mkdirSync(folder, { mode: 0o700 });
    chownSync(folder, UID, UID);
  }
  writeFileSync(to, content, { mode: 0o600 });
  chownSync(to, UID, UID);
}

function missing(folder: string): readonly string[] {
  return existsSync(folder) ? [] : [...missing(dirname(folder)), folder];
}

/** A file of a home as text; undefined where it is not there. */
export function textIn(host: LabHost, path: string): string | undefined {
  const at = inside(host, path);
  return existsSync(at) ? readFileSync(at, "utf8") : undefined;
}

/** The live generation of what `from` sent to `host`; undefined where there is none. */
export function generationOn(host: LabHost, from: string): string | undefined {
  const link = inside(host, `runtime/mirror/${from}/current`);
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** Files of a generation that are not what its list says: none, where a reader sees all or nothing. */
export function halfIn(host: LabHost, from: string, generation: string): readonly string[] {
  const folder = inside(host, `runtime/mirror/${from}/${generation}`);
  const text = readFileSync(join(folder, ".manifest.json"), "utf8");
  return (JSON.parse(text) as Manifest).files.flatMap(({ path, bytes, sha256 }) => {
    const at = join(folder, path);
    if (!existsSync(at) || statSync(at).size !== bytes) return [path];
    const is = new Bun.CryptoHasher("sha256").update(readFileSync(at)).digest("hex");
    return is === sha256 ? [] : [path];
  });
}
