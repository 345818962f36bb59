/** Hands: the primitives that change the machine. Steps are carried out with them in `lib/steps`; a unit's named calls use them for what no step can say. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readSync,
  renameSync,
  rmSync,
  rmdirSync,
  writeFileSync,
  constants,
} from "node:fs";
import { createServer } from "node:net";
import { dirname } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Owner } from "../unit.ts";
import { refuseLeadingOut, setMode, setOwner } from "./attributes.ts";
import {
  about,
  copyTree,
  linkDurably,
  moveAcross,
  syncFile,
  syncFolder,
  writeDurably,
} from "./durable.ts";
import { download, type DownloadOptions } from "./download.ts";
import type { Machine } from "./machine.ts";
import type { Probe } from "./probe.ts";
import {
  collect,
  endProcess,
  type Child,
  type Ran,
  type RunOptions,
  type SpawnOptions,
} from "./process.ts";
import { openRegular } from "./regular.ts";
import { receive, type Received, type Receiving } from "./receive.ts";
import { askSocket } from "./unix.ts";

/** Changes the machine. Paths are absolute; what is made inside the home belongs to the home's owner, also under sudo. */
export interface Act {
  /** Makes a folder and its missing parents (these 0700). Does nothing where it is there. */
  makeFolder(path: string, mode?: number): void;
  /** Replaces a file durably. */
  write(path: string, content: string | Uint8Array, mode?: number): void;
  /** Adds one line to a file, made 0600 where missing, and flushes it to disk. A torn last line is ended first, so it stays alone. */
  appendLine(path: string, line: string): void;
  /** Adds text to a log, made 0600 where missing. Not flushed: for what may be lost in a power cut. */
  appendText(path: string, text: string): void;
  /** Cuts a file to `length` bytes. */
  truncate(path: string, length: number): void;
  copy(from: string, to: string): void;
  /** Copies a folder with its modes, for root with its owners too; links stay links. */
  copyFolder(from: string, to: string): void;
  /** Moves a file, a link or a folder; across file systems by a copy that gets its name when it is whole. */
  rename(from: string, to: string): void;
  /** Removes a file, a link or a whole folder. Does nothing where it is not there. */
  remove(path: string): void;
  /** Removes a folder only if it is empty; tells whether it is gone. */
  removeIfEmpty(path: string): boolean;
  /** Puts the file `from` in the place of `path` in one step; `from` is gone after. Works across file systems. */
  replaceWith(path: string, from: string): void;
  /** A second name for a file, or a copy where the file system gives none. */
  hardLinkOrCopy(from: string, to: string): void;
  /** Makes or flips one symbolic link atomically. */
  link(path: string, target: string): void;
  hardLink(existing: string, path: string): void;
  /** Never changes what a link at `path` leads to: it throws ELOOP. */
  chmod(path: string, mode: number): void;
  chown(path: string, owner: Owner): void;
  /** Owner and mode of an entry that stands in the home itself: a link anywhere between the home and it makes it throw ENOTDIR or ELOOP. */
  setAttributes(path: string, to: { readonly mode?: number; readonly owner?: Owner }): void;
  /** Writes a sysfs or procfs value in place. */
  set(path: string, value: string): void;
  /** Runs a program to its end. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts a program that goes on; it ends when we do. */
  start(argv: readonly string[], options?: Partial<SpawnOptions>): Child;
  /** Kills one process, which is known to be ours, if it is still there. */
  end(pid: number): void;
  /** Takes a stream of bytes into a file and hashes it in the same go; see `receive`. Inside the home only. */
  receive(path: string, receiving: Receiving): Promise<Received>;
  /** Fetches a file over HTTP, resuming `to` where the server allows it. Verifies nothing: that is the caller's part. */
  download(url: string, to: string, options?: DownloadOptions): Promise<void>;
  /** Sends one line to a unix socket and returns the line that comes back; `patience` in milliseconds. See `askSocket`. */
  askSocket(path: string, line: string, patience: number): Promise<string>;
  /** A loopback port that was free a moment ago. */
  freePort(): Promise<number>;
  /** The path as the operating system sees it; differs only on a fake machine. For handing to `run` and `start`. */
  real(path: string): string;
}

/** The hands for one machine. */
export function createAct(machine: Machine, probe: Probe): Act {
  const at = (path: string) => machine.root + path;
  const { durable } = machine;
  const inHome = (path: string) => path === probe.home || path.startsWith(`${probe.home}/`);
  const ownerFor = (path: string) =>
    machine.me.root && inHome(path) && probe.owner.uid !== machine.me.uid ? probe.owner : undefined;
  /** The real path of what is about to be changed, once it is known to be in the home for root. */
  const checked = (path: string, opens = false) => {
    const owner = ownerFor(path);
    if (owner) refuseLeadingOut(at(probe.home), at(path), owner, opens);
    return at(path);
  };
  const opened = (path: string) => checked(path, true);
  const own = (path: string) => {
    const owner = ownerFor(path);
    if (owner) lchownSync(at(path), owner.uid, owner.gid);
  };
  const makeFolder = (path: string, mode = 0o700) => {
    if (existsSync(opened(path))) return;
    const parent = dirname(path);
    if (parent !== path) makeFolder(parent);
    try {
      mkdirSync(at(path), { mode });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (existsSync(at(path))) return; // another run made it just now
      throw new ShelterError(
        "link-in-the-way",
        `making the folder ${path}`,
        "a link has that name and leads nowhere",
        ["ls", "-ld", path],
      );
    }
    chmodSync(at(path), mode); // whatever the umask
    own(path);
    if (durable) syncFolder(at(parent));
  };
  return {
    makeFolder,
    write: (path, content, mode = 0o600) =>
      writeDurably(checked(path), content, { mode, owner: ownerFor(path), durable }),
    appendLine: (path, line) => {
      const fresh = !existsSync(opened(path));
      const { O_RDWR, O_APPEND, O_CREAT } = constants;
      const { handle, stats } = openRegular(at(path), O_RDWR | O_APPEND | O_CREAT, 0o600);
      try {
        const { size } = stats;
        const last = Buffer.alloc(1);
        const torn =
          size > 0 && readSync(handle, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE;
        appendFileSync(handle, `${torn ? "\n" : ""}${line}\n`);
        if (durable) fsyncSync(handle);
      } catch (error) {
        throw about(path, error);
      } finally {
        closeSync(handle);
      }
      if (!fresh) return;
      own(path);
      if (durable) syncFolder(at(dirname(path)));
    },
    appendText: (path, text) => {
      const fresh = !existsSync(opened(path));
      const { O_WRONLY, O_APPEND, O_CREAT } = constants;
      try {
        const { handle } = openRegular(at(path), O_WRONLY | O_APPEND | O_CREAT, 0o600);
        try {
          appendFileSync(handle, text);
        } finally {
          closeSync(handle);
        }
      } catch (error) {
        throw about(path, error);
      }
      if (fresh) own(path);
    },
    truncate: (path, length) => {
      const { handle } = openRegular(opened(path), constants.O_RDWR);
      try {
        ftruncateSync(handle, length);
        if (durable) fsyncSync(handle);
      } finally {
        closeSync(handle);
      }
    },
    copy: (from, to) => {
      closeSync(openRegular(at(from)).handle);
      copyFileSync(at(from), opened(to), constants.COPYFILE_FICLONE);
      own(to);
      if (durable) {
        syncFile(at(to));
        syncFolder(at(dirname(to)));
      }
    },
    copyFolder: (from, to) => {
      copyTree(at(from), opened(to), machine.me.root);
    },
    rename: (from, to) => {
      try {
        renameSync(checked(from), checked(to));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
        moveAcross(at(from), at(to), { root: machine.me.root, durable });
      }
      if (durable) {
        syncFolder(at(dirname(to)));
        if (dirname(from) !== dirname(to)) syncFolder(at(dirname(from)));
      }
    },
    remove: (path) => {
      rmSync(checked(path), { recursive: true, force: true });
      if (durable && existsSync(at(dirname(path)))) syncFolder(at(dirname(path)));
    },
    removeIfEmpty: (path) => {
      try {
        rmdirSync(checked(path));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOTEMPTY" || code === "EEXIST") return false;
        if (code !== "ENOENT") throw error;
      }
      return true;
    },
    replaceWith: (path, from) => {
      try {
        renameSync(checked(from), checked(path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
        moveAcross(at(from), at(path), { root: machine.me.root, durable });
      }
      if (durable) syncFolder(at(dirname(path)));
    },
    hardLinkOrCopy: (from, to) => {
      try {
        linkSync(at(from), checked(to));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "EXDEV" && code !== "EPERM" && code !== "EMLINK") throw error;
        copyFileSync(at(from), at(to), constants.COPYFILE_FICLONE);
        own(to);
        if (durable) syncFile(at(to));
      }
    },
    link: (path, target) => linkDurably(checked(path), target, { owner: ownerFor(path), durable }),
    hardLink: (existing, path) => linkSync(at(existing), checked(path)),
    chmod: (path, mode) => setMode(at(path), at(path), mode),
    chown: (path, owner) => lchownSync(at(path), owner.uid, owner.gid),
    setAttributes: (path, { mode, owner }) => {
      // owner first: a change of owner clears some bits
      if (owner) setOwner(at(probe.home), at(path), owner);
      if (mode !== undefined) setMode(at(probe.home), at(path), mode);
    },
    set: (path, value) => {
      writeFileSync(at(path), value, { flag: machine.root ? "w" : "r+" });
    },
    run: (argv, options = {}) =>
      collect(machine.spawn, argv, {
        timeout: 0,
        ...options,
        env: { ...machine.environment, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: at(options.cwd) }),
      }),
    start: (argv, options = {}) =>
      machine.spawn(argv, {
        ...options,
        env: { ...machine.environment, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: at(options.cwd) }),
      }),
    end: (pid) => {
      // a fake machine's processes are files; the numbers in them are other people's here
      if (machine.root === "") endProcess(pid);
    },
    receive: async (path, receiving) => {
      const real = opened(path);
      try {
        return await receive(real, receiving);
      } finally {
        // also what came of a stream that broke off: the owner's next run goes on with it
        if (existsSync(real)) own(path);
      }
    },
    download: (url, to, options) => download(machine.fetch, url, opened(to), options),
    askSocket: (path, line, patience) => askSocket(at(path), line, patience),
    freePort: () =>
      new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
          const address = server.address();
          server.close(() =>
            address && typeof address === "object"
              ? resolve(address.port)
              : reject(new ShelterError("no-port", "no loopback port", "the system gave none")),
          );
        });
      }),
    real: at,
  };
}

const NEWLINE = 10;
