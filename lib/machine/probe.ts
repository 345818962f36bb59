/** Eyes: reads the machine and changes nothing. */
import {
  closeSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  statfsSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import type { HostName, Owner } from "../unit.ts";
import { sha256OfFile } from "./hash.ts";
import type { Machine, Me } from "./machine.ts";
import { openRegular } from "./regular.ts";
import { collect, processExists, type Ran, type RunOptions } from "./process.ts";
import { loadZx } from "./zx.ts";

/** What reading one file gave: "denied" means that root would see it. */
export type Reading =
  | { readonly state: "ok"; readonly text: string }
  | { readonly state: "absent" }
  | { readonly state: "denied" }
  | { readonly state: "error"; readonly why: string };

/** One entry of a folder, links not followed. `mode` is the permission bits alone. */
export interface Entry extends Owner {
  readonly path: string;
  readonly kind: "file" | "dir" | "link" | "other";
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  /** Of its last change of any kind; no program can set it. */
  readonly ctime: number;
  readonly inode: number;
  /** Of the file system that it is on; inode and device together tell a file from every other. */
  readonly device: number;
  readonly links: number;
  /** Where a link points, as written in it. */
  readonly target?: string;
}

/** Room on the file system of a path. `inodes` is 0 where the file system does not count them. */
export interface Space {
  readonly free: number;
  readonly total: number;
  readonly inodesFree: number;
  readonly inodes: number;
  readonly readOnly: boolean;
}

/** Reads the machine. Paths are absolute. Nothing here writes, and commands given to it must only read. */
export interface Probe {
  readonly home: string;
  readonly host: HostName;
  readonly me: Me;
  /** Owner of the home: files in it stay theirs also under sudo. */
  readonly owner: Owner;
  /** Milliseconds since 1970. */
  now(): number;
  /** A regular file's text; of a pipe, a socket or a device only that it is one. */
  read(path: string): Reading;
  /** The text of a file, or undefined where it is not there or may not be read. */
  text(path: string): string | undefined;
  /** Up to `length` bytes of a regular file from `offset`. Throws the system's error. */
  bytes(path: string, offset: number, length: number): Uint8Array;
  stat(path: string): Entry | undefined;
  /** Names in a folder, sorted; none where it is not there or may not be read. */
  list(path: string): readonly string[];
  /** Why a folder that is there can't be listed; undefined where it can, and where there is none. */
  unlistable(path: string): string | undefined;
  /** All entries below a folder, parents first, links not followed; `skip` leaves out an entry and all below it. */
  tree(path: string, skip?: (entry: Entry) => boolean): readonly Entry[];
  /** The path with all links followed, or undefined where it leads nowhere. */
  real(path: string): string | undefined;
  space(path: string): Space | undefined;
  /** Whether a process has this number, also one that /proc hides from us (hidepid, proc(5)). */
  exists(pid: number): boolean;
  /** Of the first `limit` bytes where it is given, else of the whole file. */
  sha256(
    path: string,
    onBytes?: (done: number) => void,
    signal?: AbortSignal,
    limit?: number,
  ): Promise<string>;
  /** Where a command is on the PATH that children get. */
  which(command: string): string | undefined;
  /** Runs a command that only reads. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** zx's template, for fixed read-only command lines; values are quoted. Never throws: look at `code`. One minute at most. */
  $(pieces: TemplateStringsArray, ...values: readonly (string | number)[]): Promise<Ran>;
  /** systeminformation, where it knows. */
  system: Machine["system"];
  /** A GET to an address of this machine's own or of a package source. */
  get(url: string, init?: RequestInit): Promise<Response>;
}

/** Largest file that `read` takes: what it reads are settings and sysfs, never data. */
const READ_LIMIT = 64 * 1024 * 1024;

/** The eyes for one machine and home. When `signal` fires, commands that run and files that are being hashed are given up. */
export function createProbe(
  machine: Machine,
  home: string,
  host: HostName,
  signal?: AbortSignal,
): Probe {
  const at = (path: string) => machine.root + path;
  const run = (argv: readonly string[], options: RunOptions = {}) =>
    collect(machine.spawn, argv, {
      ...(signal ? { signal } : {}),
      ...options,
      env: { ...machine.environment, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: at(options.cwd) }),
    });
  const read = (path: string): Reading => {
    try {
      const { handle, stats } = openRegular(at(path));
      try {
        if (stats.size > READ_LIMIT) return { state: "error", why: "too large" };
        return { state: "ok", text: readFileSync(handle, "utf8") };
      } finally {
        closeSync(handle);
      }
    } catch (error) {
      return unreadable(error);
    }
  };
  const probe: Probe = {
    home,
    host,
    me: machine.me,
    owner: ownerOf(at(home), machine.me),
    now: machine.now,
    read,
    text: (path) => {
      const reading = read(path);
      return reading.state === "ok" ? reading.text : undefined;
    },
    bytes: (path, offset, length) => {
      const { handle } = openRegular(at(path));
      try {
        const buffer = Buffer.alloc(length);
        return buffer.subarray(0, readSync(handle, buffer, 0, length, offset));
      } finally {
        closeSync(handle);
      }
    },
    stat: (path) => {
      try {
        return entry(path, at(path), lstatSync(at(path)));
      } catch (error) {
        if (isAbsent(error) || isDenied(error)) return undefined;
        throw error;
      }
    },
    list: (path) => {
      try {
        return readdirSync(at(path)).sort();
      } catch {
        return [];
      }
    },
    unlistable: (path) => {
      try {
        readdirSync(at(path));
        return undefined;
      } catch (error) {
        return isAbsent(error) ? undefined : error instanceof Error ? error.message : String(error);
      }
    },
    tree: (path, skip) => walk(path, at, skip),
    real: (path) => {
      try {
        return realpathSync(at(path)).slice(machine.root.length) || "/";
      } catch {
        return undefined;
      }
    },
    space: (path) => space(at(path)),
    sha256: (path, onBytes, stop = signal, limit) => sha256OfFile(at(path), onBytes, stop, limit),
    // a fake machine's processes are the files in its /proc
    exists: (pid) =>
      machine.root === "" ? processExists(pid) : existsSync(at(`/proc/${pid}/stat`)),
    which: (command) => {
      for (const folder of (machine.environment["PATH"] ?? "").split(":")) {
        const path = join(folder, command);
        try {
          if (lstatSync(realpathSync(at(path))).mode & 0o111) return path;
        } catch {
          // not in this folder
        }
      }
      return undefined;
    },
    run,
    $: async (pieces, ...values) => {
      if (machine.shell) {
        const line = pieces.reduce((text, piece, i) => text + String(values[i - 1] ?? "") + piece);
        return { timedOut: false, ...(await machine.shell(line)) };
      }
      const { $ } = await loadZx();
      const output = await $({
        // oxlint-disable-next-line shelter/dangers -- zx is a shell; unsaid, it would take the first bash on the caller's PATH
        shell: "/bin/bash",
        env: { ...machine.environment },
        ...(signal ? { signal } : {}),
        quiet: true,
        nothrow: true,
        stdio: ["ignore", "pipe", "pipe"],
        timeout: "60s",
      })(pieces, ...values.map(String));
      return {
        code: output.exitCode ?? 128,
        stdout: output.stdout,
        stderr: output.stderr,
        timedOut: output.signal === "SIGTERM",
      };
    },
    system: machine.system,
    get: machine.fetch,
  };
  return probe;
}

function walk(
  top: string,
  at: (path: string) => string,
  skip: ((entry: Entry) => boolean) | undefined,
): Entry[] {
  const found: Entry[] = [];
  const open = [top];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    let names: string[];
    try {
      names = readdirSync(at(folder)).sort();
    } catch {
      continue; // vanished or denied: the folder's own entry tells which
    }
    for (const name of names) {
      const path = join(folder, name);
      let one: Entry;
      try {
        one = entry(path, at(path), lstatSync(at(path)));
      } catch {
        continue; // vanished while we looked
      }
      if (skip?.(one)) continue;
      found.push(one);
      if (one.kind === "dir") open.push(path);
    }
  }
  return found;
}

function entry(path: string, real: string, stats: Stats): Entry {
  const kind = stats.isFile()
    ? "file"
    : stats.isDirectory()
      ? "dir"
      : stats.isSymbolicLink()
        ? "link"
        : "other";
  return {
    path,
    kind,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    size: stats.size,
    mtime: stats.mtimeMs,
    ctime: stats.ctimeMs,
    inode: stats.ino,
    device: stats.dev,
    links: stats.nlink,
    ...(kind === "link" ? { target: readlinkSync(real) } : {}),
  };
}

function space(path: string): Space | undefined {
  try {
    const found = statfsSync(path);
    return {
      free: found.bavail * found.bsize,
      total: found.blocks * found.bsize,
      inodesFree: found.ffree,
      inodes: found.files,
      readOnly: isReadOnly(path),
    };
  } catch {
    return undefined;
  }
}

/** statfs through Bun has no mount flags, so the mount table tells. */
function isReadOnly(path: string): boolean {
  let best = { length: -1, readOnly: false };
  let mounts: string;
  try {
    mounts = readFileSync("/proc/self/mounts", "utf8");
    path = realpathSync(path);
  } catch {
    return false;
  }
  for (const line of mounts.split("\n")) {
    const [, raw = "", , options = ""] = line.split(" ");
    const point = raw.replace(/\\(\d{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const under = path === point || path.startsWith(point.endsWith("/") ? point : `${point}/`);
    if (under && point.length >= best.length) {
      best = { length: point.length, readOnly: options.split(",").includes("ro") };
    }
  }
  return best.readOnly;
}

/** A home that does not exist yet will belong to the caller: under sudo, to who called sudo. */
function ownerOf(home: string, me: Me): Owner {
  try {
    const { uid, gid } = lstatSync(home);
    return { uid, gid };
  } catch {
    const [uid, gid] = [process.env["SUDO_UID"], process.env["SUDO_GID"]].map(Number);
    return me.root && uid && gid ? { uid, gid } : { uid: me.uid, gid: me.gid };
  }
}

function unreadable(error: unknown): Reading {
  if (isAbsent(error)) return { state: "absent" };
  if (isDenied(error)) return { state: "denied" };
  return { state: "error", why: error instanceof Error ? error.message : String(error) };
}
function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}
function isDenied(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "EACCES" || code === "EPERM";
}
