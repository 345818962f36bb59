/** Looking at what was mirrored in the lab, from outside: every byte of the live generation against its list. */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Manifest, PeerState } from "../../lib/mirror/wire.ts";
import { NAMES, SHELTER } from "../../lib/orchestra/names.ts";
import type { LabHost, Said } from "./host.ts";
import { ADDRESS, HOME, said, type TwoHosts, USER } from "./two_hosts.ts";

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

/** The time that a program says its commit was made. */
const MADE = /mountain-shelter made (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) /;

/** A program that works as `program` does, and says that its commit was made at another time (ISO 8601). */
export function madeAt(program: Uint8Array, time: string): Uint8Array {
  const bytes = Buffer.from(program);
  const was = MADE.exec(bytes.toString("latin1"))?.[1];
  if (was?.length !== time.length) throw new Error("this program does not say when it was made");
  for (let at = bytes.indexOf(`made ${was}`); at !== -1; at = bytes.indexOf(`made ${was}`, at))
    bytes.write(`made ${time}`, at, "latin1");
  return bytes;
}

/** Puts a program where those stand that were built for a peer, under its 22 names and with the list of their hashes. */
export function giveRelease(host: LabHost, peer: string, program: Uint8Array): void {
  const hash = new Bun.CryptoHasher("sha256").update(program).digest("hex");
  const folder = `bin/hosts/${peer}`;
  rmSync(inside(host, folder), { recursive: true, force: true });
  put(host, `${folder}/${SHELTER}`, program);
  chmodSync(inside(host, `${folder}/${SHELTER}`), 0o755);
  for (const name of NAMES.filter((one) => one !== SHELTER))
    linkSync(inside(host, `${folder}/${SHELTER}`), inside(host, `${folder}/${name}`));
  put(host, `${folder}/SHA256SUMS`, NAMES.map((name) => `${hash}  ${name}\n`).join(""));
}

/** What phantom's mirror key alone gets from shadow, with a file as input. */
export function byMirrorKey(lab: TwoHosts, input: string, ...words: string[]): Promise<Said> {
  const key = `${HOME}/runtime/identity/mirror`;
  const known = `UserKnownHostsFile=${HOME}/runtime/identity/known_hosts`;
  return lab.phantom.run(
    [
      ...["sh", "-c", 'exec "$@" <"$0"', input],
      ...["ssh", "-F", "/dev/null", "-i", key, "-o", "BatchMode=yes", "-o", known],
      ...["-o", "HostKeyAlias=shelter-shadow", `${USER}@${ADDRESS.shadow}`, ...words],
    ],
    { as: USER },
  );
}

/** Sends what stands in phantom's `folder`, signed by phantom, past our own sender, which holds it back. */
export async function replay(
  lab: TwoHosts,
  folder: string,
): Promise<{ readonly programs: string }> {
  const key = `${HOME}/runtime/identity/signing`;
  const sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "mountain-shelter", "-f", key];
  await said(lab.phantom, ["rm", "-f", `${HOME}/${folder}/SHA256SUMS.sig`]);
  await said(lab.phantom, [...sign, `${HOME}/${folder}/SHA256SUMS`], USER);
  const state = JSON.parse((await byMirrorKey(lab, "/dev/null", "state")).stdout) as PeerState;
  const files = ["shelter", "SHA256SUMS", "SHA256SUMS.sig"].map((name) => {
    const path = `${folder}/${name}`;
    const content = readFileSync(inside(lab.phantom, path));
    put(lab.shadow, `runtime/mirror/phantom/${state.next}.partial/${path}`, content);
    return {
      path,
      bytes: content.length,
      sha256: new Bun.CryptoHasher("sha256").update(content).digest("hex"),
    };
  });
  const { agreed, program } = state;
  const manifest = { schema: 1, from: "phantom", generation: state.next, files, links: [] };
  const request = { schema: 1, manifest, changes: [], agreed, models: [], keep: 5 };
  const asked = JSON.stringify({ ...request, release: { was: program } });
  put(lab.phantom, "runtime/work/replayed.json", asked);
  const ran = await byMirrorKey(lab, `${HOME}/runtime/work/replayed.json`, "commit");
  if (ran.code !== 0) throw new Error(ran.stderr);
  return JSON.parse(ran.stdout) as { readonly programs: string };
}
