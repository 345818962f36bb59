/** Hashes that were taken before, kept while the files are the same: by device, inode, size and both times. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { keyOf } from "./scan.ts";

type Eyes = Pick<Probe, "home" | "text" | "stat" | "sha256" | "now">;

/** A file that changed a moment ago may change again within the same tick of the file system's clock; milliseconds. */
export const RACY = 50;

/** What is remembered of files below one folder: key and hash by path. A view of the files, so it may be lost at any time. */
export class Hashes {
  private readonly known: Map<string, readonly [key: string, sha256: string]>;
  private readonly used = new Map<string, readonly [key: string, sha256: string]>();

  /** @param top what paths are relative to. */
  constructor(
    private readonly probe: Eyes,
    private readonly name: string,
    private readonly top: string,
  ) {
    this.known = new Map(Object.entries(read(probe.text(this.place))));
  }

  /** The hash of a file as it is now, if it was taken; nothing is read of it. */
  remembered(path: string, key: string): string | undefined {
    const one = this.used.get(path) ?? this.known.get(path);
    if (one?.[0] !== key) return undefined;
    this.used.set(path, one);
    return one[1];
  }

  /** True where the file was hashed before, and is another by now. */
  changed(path: string, key: string): boolean {
    const one = this.used.get(path) ?? this.known.get(path);
    return one !== undefined && one[0] !== key;
  }

  /** The hash of the first `bytes` of a file whose key is `key`; read only where it is not remembered. */
  async of(path: string, key: string, bytes?: number, signal?: AbortSignal): Promise<string> {
    const before = this.remembered(path, key);
    if (before !== undefined) return before;
    const file = join(this.top, path);
    const sha256 = await this.probe.sha256(file, undefined, signal, bytes);
    const after = this.probe.stat(file);
    if (after && keyOf(after) === key && this.probe.now() - after.ctime > RACY) {
      this.used.set(path, [key, sha256]);
    }
    return sha256;
  }

  /** The hash of a whole file, read again whatever is remembered; undefined where it is not there. */
  async anew(path: string): Promise<string | undefined> {
    const entry = this.probe.stat(join(this.top, path));
    if (entry?.kind !== "file") return undefined;
    const sha256 = await this.probe.sha256(join(this.top, path));
    this.used.set(path, [keyOf(entry), sha256]);
    return sha256;
  }

  /** Notes a hash that was taken elsewhere. */
  note(path: string, key: string, sha256: string): void {
    this.used.set(path, [key, sha256]);
  }

  /** Keeps what was asked for since it was read; what nobody asked for any more is forgotten. */
  save(act: Pick<Act, "write" | "makeFolder">): void {
    const fresh = [...this.used].some(([path, [key]]) => this.known.get(path)?.[0] !== key);
    if (!fresh && this.used.size === this.known.size) return;
    act.makeFolder(join(this.place, ".."));
    act.write(this.place, JSON.stringify({ schema: 1, files: Object.fromEntries(this.used) }));
  }

  private get place(): string {
    return inHome.work(this.probe.home, "mirror", `${this.name}.json`);
  }
}

function read(text: string | undefined): Readonly<Record<string, readonly [string, string]>> {
  if (text === undefined) return {};
  try {
    const said = JSON.parse(text) as { readonly schema?: unknown; readonly files?: unknown };
    if (said.schema !== 1 || typeof said.files !== "object" || said.files === null) return {};
    return said.files as Readonly<Record<string, readonly [string, string]>>;
  } catch {
    return {}; // it is only a memory: what it held is hashed again
  }
}
