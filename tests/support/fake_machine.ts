/** A machine that is not: real files below a temporary folder, and a table of programs whose acts have their effects there. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Machine, Me } from "../../lib/machine/machine.ts";
import type { Child, Ended, SpawnOptions } from "../../lib/machine/process.ts";

/** A file, link or folder of a fake machine. Modes default to 0644, folders' to 0755. `uid` takes effect only where the tests run as root. */
export type FakeFile =
  | string
  | { readonly text: string; readonly mode?: number; readonly uid?: number }
  | { readonly bytes: Uint8Array; readonly mode?: number }
  | { readonly link: string }
  | { readonly folder: true; readonly mode?: number; readonly uid?: number };

/** What a fake program says and how it ends; its effects are its own business, on `world.path(…)`. */
export interface FakeRan {
  readonly code?: number;
  readonly stdout?: string;
  readonly stderr?: string;
}
export type FakeProgram = (
  argv: readonly string[],
  world: FakeWorld,
  options: SpawnOptions,
  /** Resolves when somebody ends it: for programs that stay. */
  killed?: Promise<unknown>,
) => FakeRan | Promise<FakeRan>;

/** What a fake machine is made from. */
export interface FakeMachineOptions {
  readonly files?: Readonly<Record<string, FakeFile>>;
  /** By base name; each is also found by `which` in /usr/bin. */
  readonly programs?: Readonly<Record<string, FakeProgram>>;
  readonly me?: Partial<Me>;
  readonly now?: () => number;
  /** Answers loopback and download requests. */
  readonly fetch?: Machine["fetch"];
  /** Stands in for systeminformation. */
  readonly system?: Readonly<Record<string, unknown>>;
  /** Called before each program starts and may throw, to fail a run at a chosen place. */
  readonly onSpawn?: (argv: readonly string[]) => void;
}

/** A fake machine and what a test may look at. */
export interface FakeWorld {
  readonly machine: Machine;
  readonly root: string;
  /** Where a path of the fake machine really is. */
  path(path: string): string;
  read(path: string): string;
  write(path: string, file: FakeFile): void;
  remove(path: string): void;
  exists(path: string): boolean;
  /** Every entry below `top` as one line each: path, kind, mode, content or target. Links not followed. */
  picture(top: string, skip?: (path: string) => boolean): readonly string[];
  /** Command lines that were started, oldest first. */
  readonly started: readonly (readonly string[])[];
  /** What was written to programs whose input stayed open. */
  readonly told: readonly string[];
  /** The same machine with its files below another folder. */
  at(root: string): FakeWorld;
  dispose(): void;
}

/** Home of the person on every fake machine. */
export const FAKE_HOME = "/home/op/.mountain_shelter";

/** Makes a fake machine. /proc of this process is there, so that locks can judge who lives. */
export function fakeMachine(options: FakeMachineOptions = {}): FakeWorld {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const world = worldAt(mkdtempSync(join(base, "shelter-fake-")), options);
  for (const name of Object.keys(options.programs ?? {})) {
    world.write(`/usr/bin/${name}`, { text: "", mode: 0o755 });
  }
  world.write("/proc/sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555\n");
  world.write("/proc/self/stat", "1 (self)");
  world.write(`/proc/${process.pid}/stat`, readFileSync("/proc/self/stat", "utf8"));
  world.write("/home/op", { folder: true, mode: 0o700 });
  for (const [inside, file] of Object.entries(options.files ?? {})) world.write(inside, file);
  return world;
}

function worldAt(root: string, options: FakeMachineOptions): FakeWorld {
  const started: (readonly string[])[] = [];
  const told: string[] = [];
  const path = (inside: string) => root + inside;
  const programs = options.programs ?? {};
  const world: FakeWorld = {
    root,
    path,
    started,
    told,
    write: (inside, file) => writeFake(path(inside), file),
    read: (inside) => readFileSync(path(inside), "utf8"),
    remove: (inside) => rmSync(path(inside), { recursive: true, force: true }),
    exists: (inside) => lstatSync(path(inside), { throwIfNoEntry: false }) !== undefined,
    picture: (top, skip) => picture(root, top, skip),
    at: (other) => worldAt(other, options),
    dispose: () => rmSync(root, { recursive: true, force: true }),
    machine: {
      root,
      durable: false,
      me: {
        uid: process.getuid?.() ?? 0,
        gid: process.getgid?.() ?? 0,
        user: "op",
        home: "/home/op",
        root: false,
        ...options.me,
      },
      environment: { PATH: "/usr/bin", HOME: "/home/op", LANG: "C.UTF-8" },
      now: options.now ?? (() => Date.now()),
      fetch: options.fetch ?? (() => Promise.reject(new Error("this fake machine has no network"))),
      system: () =>
        Promise.resolve(
          (options.system ?? {}) as unknown as Awaited<ReturnType<Machine["system"]>>,
        ),
      spawn: (argv, spawnOptions) => {
        started.push(argv);
        return fakeChild(told, (killed) => {
          options.onSpawn?.(argv);
          const name = argv[0]?.split("/").at(-1) ?? "";
          const program = programs[name];
          if (!program) throw Object.assign(new Error(`spawn ${name} ENOENT`), { code: "ENOENT" });
          const { inputFile: file, ...rest } = spawnOptions;
          const input = file && readFileSync(file.path).subarray(file.from).toString();
          return program(argv, world, input === undefined ? rest : { ...rest, input }, killed);
        });
      },
      shell: async (commandLine) => {
        const argv = commandLine.trim().split(/\s+/);
        started.push(argv);
        const program = programs[argv[0] ?? ""];
        if (!program) return { code: 127, stdout: "", stderr: `${argv[0]}: command not found` };
        const {
          code = 0,
          stdout = "",
          stderr = "",
        } = await program(argv, world, { env: {} }, NEVER);
        return { code, stdout, stderr };
      },
    },
  };
  return world;
}

function writeFake(real: string, file: FakeFile): void {
  mkdirSync(dirname(real), { recursive: true });
  rmSync(real, { recursive: true, force: true });
  if (typeof file === "string") writeFileSync(real, file);
  else if ("link" in file) symlinkSync(file.link, real);
  else if ("folder" in file) {
    mkdirSync(real, { recursive: true });
    chmodSync(real, file.mode ?? 0o755);
  } else {
    writeFileSync(real, "bytes" in file ? file.bytes : file.text);
    chmodSync(real, file.mode ?? 0o644);
  }
  if (typeof file === "object" && "uid" in file && process.getuid?.() === 0) {
    chownSync(real, file.uid, file.uid);
  }
}

let nextPid = 4_000_000; // above pid_max, so that no real process is ever meant

const NEVER = new Promise<never>(() => undefined);

function fakeChild(
  told: string[],
  work: (killed: Promise<unknown>) => FakeRan | Promise<FakeRan>,
): Child {
  const listeners: ((stream: "stdout" | "stderr", chunk: Uint8Array) => void)[] = [];
  let killed: NodeJS.Signals | undefined;
  const end = Promise.withResolvers<void>();
  const ended = (async (): Promise<Ended> => {
    await Promise.resolve(); // listeners are added after the start
    try {
      const { code = 0, stdout = "", stderr = "" } = await work(end.promise);
      for (const listener of listeners) {
        if (stdout) listener("stdout", Buffer.from(stdout));
        if (stderr) listener("stderr", Buffer.from(stderr));
      }
      return killed ? { code: null, signal: killed } : { code, signal: null };
    } catch (error) {
      return { code: null, signal: null, error: error as Error };
    }
  })();
  return {
    pid: nextPid++,
    kill: (signal) => {
      killed = signal;
      end.resolve();
    },
    tell: (text) => void told.push(text),
    onOutput: (listener) => void listeners.push(listener),
    ended,
  };
}

function picture(root: string, top: string, skip?: (path: string) => boolean): readonly string[] {
  const lines: string[] = [];
  const look = (inside: string) => {
    if (skip?.(inside)) return;
    const real = root + inside;
    const stats = lstatSync(real, { throwIfNoEntry: false });
    if (!stats) return;
    const mode = (stats.mode & 0o7777).toString(8);
    const owner = `${stats.uid}:${stats.gid}`;
    if (stats.isSymbolicLink()) lines.push(`${inside} -> ${readlinkSync(real)}`);
    else if (stats.isDirectory()) {
      lines.push(`${inside}/ ${mode} ${owner}`);
      for (const name of readdirSync(real).sort()) look(join(inside, name));
    } else {
      const content = new Bun.CryptoHasher("sha256").update(readFileSync(real)).digest("hex");
      lines.push(`${inside} ${mode} ${owner} ${content}`);
    }
  };
  look(top);
  return lines;
}
