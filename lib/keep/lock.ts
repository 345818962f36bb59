/**
 * Locks that are taken over only from the dead. A lock names its holder by process id, process start time and boot id; while that process
 * lives the lock is its, however long its event loop is blocked (proper-lockfile alone gives such a lock away).
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Act } from "../machine/act.ts";
import { lockFileSystem, readHolder, removeLock } from "../machine/lock_folder.ts";
import type { Probe } from "../machine/probe.ts";
import { sha256 } from "../machine/hash.ts";
import { inHome } from "./home.ts";

/** Who holds a lock. */
export interface Holder {
  readonly pid: number;
  /** Start time of the process in clock ticks since boot (proc(5), stat, field 22). */
  readonly started: string;
  readonly boot: string;
  readonly script: string;
  /** UTC, ISO 8601. */
  readonly since: string;
  readonly nonce: string;
}

/** A lock that is ours until `release`. */
export interface Lock {
  release(): Promise<void>;
}

/** A lock that is somebody else's. */
export interface Busy {
  readonly busy: Holder;
  /** Milliseconds since it was taken. */
  readonly age: number;
}

/** Heartbeat, for whoever looks at a lock with proper-lockfile's eyes. Nothing here relies on it. */
const HEARTBEAT = 5000;

/** Where the lock `name` stands. */
export function lockPath(home: string, name: string): string {
  return join(inHome.locks(home), `${name}.lock`);
}

/** Who holds the lock `name`, or undefined when it is free. A damaged identity throws: it can't be proven dead. */
export function lockHolder(probe: Probe, act: Pick<Act, "real">, name: string): Holder | undefined {
  return parseHolder(readHolder(act.real(lockPath(probe.home, name))), name);
}

/** True only when the process provably no longer runs: another boot, no such process, or its number is another's now. */
export function isGone(probe: Probe, holder: Holder): boolean {
  const boot = bootId(probe);
  if (boot !== "" && holder.boot !== "" && holder.boot !== boot) return true;
  const now = processStart(probe, holder.pid);
  return now === undefined ? !probe.exists(holder.pid) : now !== holder.started;
}

/**
 * Takes the lock `name`, at once or within `wait` milliseconds.
 * @returns the lock, or who has it.
 */
export async function takeLock(
  probe: Probe,
  act: Act,
  name: string,
  options: { readonly script: string; readonly wait?: number },
): Promise<Lock | Busy> {
  const { lock } = await import("proper-lockfile");
  act.makeFolder(inHome.locks(probe.home));
  const path = lockPath(probe.home, name);
  const real = act.real(path);
  const identity = JSON.stringify(ourselves(probe, options.script));
  const deadline = performance.now() + (options.wait ?? 0);
  const owner = probe.me.root && probe.owner.uid !== probe.me.uid ? probe.owner : undefined;
  let unheld = 0;
  for (;;) {
    try {
      const release = await lock(real, {
        lockfilePath: real,
        realpath: false,
        fs: lockFileSystem(identity, owner),
        stale: Number.MAX_SAFE_INTEGER, // age proves nothing: see `isGone`
        update: HEARTBEAT,
        onCompromised: () => undefined, // the heartbeat could not be written; the lock is ours all the same
      });
      return {
        release: async () => {
          await release().catch(() => undefined); // refused after a missed heartbeat; the next line then removes it
          removeLock(real, identity);
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
    }
    const text = readHolder(real);
    const holder = parseHolder(text, name);
    if (text === undefined || holder === undefined) {
      // released between the two looks; again and again it never was a lock: each of ours holds its identity from its first moment
      if (++unheld > 50) throw nobodys(real);
      await new Promise((resolve) => setTimeout(resolve, 5));
      continue;
    }
    unheld = 0;
    if (isGone(probe, holder)) {
      await takeOver(probe, act, name, text, options.script);
      continue;
    }
    if (performance.now() >= deadline) {
      return { busy: holder, age: Math.max(0, probe.now() - Date.parse(holder.since)) };
    }
    await new Promise((resolve) => setTimeout(resolve, 10 + randomBytes(1).readUInt8() / 10));
  }
}

function nobodys(lock: string): ShelterError {
  const why = "something stands there that nobody holds, and it is not empty";
  return new ShelterError("lock-damaged", `taking the lock ${lock}`, why, ["ls", "-lan", lock]);
}

/**
 * Clears a dead holder's lock. Two that saw the same dead holder must not both clear: the second would clear the first one's new lock. So each
 * dead identity is cleared under a guard of its own, and only if the lock still holds that identity.
 */
async function takeOver(probe: Probe, act: Act, name: string, dead: string, script: string) {
  const guard = await takeLock(probe, act, `${name}.${sha256(dead).slice(0, 16)}.takeover`, {
    script,
    wait: 10_000,
  });
  if ("busy" in guard) {
    throw new ShelterError(
      "takeover-busy",
      `taking over the lock ${name}`,
      `process ${guard.busy.pid} has been at it for ${Math.round(guard.age / 1000)} s`,
    );
  }
  try {
    removeLock(act.real(lockPath(probe.home, name)), dead);
  } finally {
    await guard.release();
  }
}

function ourselves(probe: Probe, script: string): Holder {
  return {
    pid: process.pid,
    started: processStart(probe, process.pid) ?? "",
    boot: bootId(probe),
    script,
    since: new Date(probe.now()).toISOString(),
    nonce: randomBytes(8).toString("hex"),
  };
}

function parseHolder(text: string | undefined, name: string): Holder | undefined {
  if (text === undefined) return undefined;
  const holder = readIdentity(text);
  if (holder) return holder;
  throw new ShelterError(
    "lock-damaged",
    `reading who holds the lock ${name}`,
    "its holder.json is damaged, so nobody can be proven gone",
    ["./bin/00_check_structure", "--plan"],
  );
}

/** A lock's identity as text, read; undefined where it is damaged. */
export function readIdentity(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder;
    const whole = [holder.started, holder.boot, holder.script, holder.since].every(
      (one) => typeof one === "string",
    );
    return Number.isInteger(holder.pid) && holder.pid > 0 && whole ? holder : undefined;
  } catch {
    return undefined; // not JSON at all
  }
}

/** Names this boot; "" where the kernel does not tell. */
export function bootId(probe: Probe): string {
  return probe.text("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
}

/** When a process started, in clock ticks since boot; undefined where there is none. The command in field 2 may hold spaces and brackets, so fields are counted from the last bracket. */
export function processStart(probe: Probe, pid: number): string | undefined {
  const text = probe.text(`/proc/${pid}/stat`);
  return text
    ?.slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .at(19);
}
