/** A lock on disk: a folder that appears in one step with its holder's identity inside, so that a lock without a holder cannot be seen. */
import {
  closeSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  stat,
  utimes,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Owner } from "../unit.ts";
import { about, temporaryBeside } from "./durable.ts";
import { openRegular } from "./regular.ts";

const HOLDER = "holder.json";
type Done = (error: NodeJS.ErrnoException | null) => void;

/** Path of the identity inside a lock. */
export function holderFile(lock: string): string {
  return join(lock, HOLDER);
}

/** The identity inside the lock at `lock`, as written; undefined when there is no lock. @throws ShelterError "lock-unreadable" for another user's. */
export function readHolder(lock: string): string | undefined {
  try {
    const { handle } = openRegular(holderFile(lock));
    try {
      return readFileSync(handle, "utf8");
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    // to take this for a free lock would be to wait for it for ever
    throw new ShelterError("lock-unreadable", `reading who holds ${lock}`, message, [
      "ls",
      "-lan",
      lock,
    ]);
  }
}

/**
 * The file system that proper-lockfile is given: its `mkdir` brings the identity along. Renaming a folder onto a folder that is not
 * empty fails (rename(2), ENOTEMPTY), and every lock holds its identity, so exactly one of many callers wins. `owner` is the home's, under sudo: else
 * they could neither read nor clear a lock that root died with.
 */
export function lockFileSystem(identity: string, owner?: Owner) {
  const make = (path: string) => {
    const temporary = temporaryBeside(path);
    mkdirSync(temporary, { mode: 0o700 });
    try {
      // flushed, because a lock whose holder a power cut had emptied could never be proven dead
      writeNamed(join(temporary, HOLDER), identity);
      if (owner) {
        lchownSync(join(temporary, HOLDER), owner.uid, owner.gid);
        lchownSync(temporary, owner.uid, owner.gid);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOTDIR" && lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
        const fix = ["ls", "-lan", path];
        throw new ShelterError("lock-damaged", `taking the lock ${path}`, "it is no folder", fix);
      }
      throw code === "ENOTEMPTY" ? Object.assign(error as Error, { code: "EEXIST" }) : error;
    }
  };
  const drop = (path: string) => removeLock(path, identity);
  const told =
    (act: (path: string) => void) =>
    (path: string, done: Done): void => {
      try {
        act(path);
      } catch (error) {
        done(error as NodeJS.ErrnoException);
        return;
      }
      done(null);
    };
  return { mkdir: told(make), rmdir: told(drop), rmdirSync: drop, stat, utimes };
}

/** Removes the lock at `path` if `identity` is what it holds; tells whether it did. */
export function removeLock(path: string, identity: string): boolean {
  if (readHolder(path) !== identity) return false;
  const aside = temporaryBeside(path);
  renameSync(path, aside);
  rmSync(aside, { recursive: true, force: true });
  return true;
}

function writeNamed(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flush: true });
  } catch (error) {
    throw about(path, error);
  }
}
