/** Error classes and the one table of exit codes. */
import { dirname } from "node:path";
import type { Failure, Outcome } from "./unit.ts";

/** Exit code of each outcome, the same for all 22 names. 1 is our own bug and 2 wrong usage. */
export const EXIT: Readonly<Record<Outcome, number>> = {
  converged: 0,
  changed: 0,
  planned: 10,
  blocked: 11,
  absent: 11,
  locked: 12,
  "rolled-back": 13,
  broken: 14,
  "below-baseline": 15,
  corrupt: 16,
  interrupted: 130,
};
/** A bug of our own: an error that is none of the classes below. */
export const EXIT_BUG = 1;
/** The command line could not be understood. */
export const EXIT_USAGE = 2;

/** An error that the operator can do something about: what failed, on what, why, and the next command. */
export class ShelterError extends Error {
  override readonly name: string = "ShelterError";
  constructor(
    /** Stable name of the failure, e.g. "hash-differs". */
    readonly id: string,
    /** What failed, on what. */
    readonly what: string,
    /** Why. */
    readonly why: string,
    /** The next command to run. */
    readonly fix?: readonly string[],
    options?: ErrorOptions,
  ) {
    super(`${what}: ${why}`, options);
  }
  /** As a report carries it. */
  failure(): Failure {
    return {
      id: this.id,
      what: this.what,
      why: this.why,
      ...(this.fix ? { fix: this.fix } : {}),
    };
  }
}

/** The command line was wrong: exit code 2. */
export class UsageError extends ShelterError {
  override readonly name = "UsageError";
}

/** Something that should be whole is not (hash, structure, signature): exit code 16. */
export class IntegrityError extends ShelterError {
  override readonly name = "IntegrityError";
}

/** A signal ended the run. */
export class Interrupted extends ShelterError {
  override readonly name = "Interrupted";
  constructor(signal: string) {
    super("interrupted", "the run was interrupted", `it received ${signal}`);
  }
}

/** Any thrown value as a failure; what is not ours is named as our own bug with its message. */
export function asFailure(error: unknown): Failure {
  if (error instanceof ShelterError) return error.failure();
  const text = error instanceof Error ? error.message : String(error);
  return { id: "bug", what: "an error that the program did not expect", why: text };
}

/** What the operating system's refusals mean to a person, with the command that shows more. */
const SYSTEM_ERRORS: Readonly<Record<string, { id: string; why: string; fix: readonly string[] }>> =
  {
    ENOSPC: { id: "disk-full", why: "the disk is full", fix: ["df", "-h"] },
    EDQUOT: { id: "disk-full", why: "the disk quota is used up", fix: ["df", "-h"] },
    EROFS: { id: "read-only", why: "the file system is read-only", fix: ["findmnt"] },
    EACCES: { id: "denied", why: "this user may not", fix: ["./bin/00_check_structure", "--plan"] },
    EPERM: { id: "denied", why: "this user may not", fix: ["./bin/00_check_structure", "--plan"] },
    ENOTDIR: {
      id: "not-a-folder",
      why: "a file stands where a folder should be",
      fix: ["./bin/00_check_structure", "--plan"],
    },
    ELOOP: {
      id: "link-in-the-way",
      why: "a symbolic link stands in the way",
      fix: ["./bin/00_check_structure", "--plan"],
    },
    EISDIR: {
      id: "not-a-file",
      why: "a folder stands where a file should be",
      fix: ["./bin/00_check_structure", "--plan"],
    },
    ENXIO: {
      id: "not-a-file",
      why: "a pipe, a socket or a device stands where a file should be",
      fix: ["./bin/00_check_structure", "--plan"],
    },
    EXDEV: { id: "other-disk", why: "it is on another file system", fix: ["df", "-h"] },
    EIO: { id: "disk-error", why: "the disk failed to read or write", fix: ["dmesg"] },
    ENAMETOOLONG: { id: "name-too-long", why: "its name is too long", fix: ["pwd"] },
    EMFILE: { id: "too-many-files", why: "too many files are open", fix: ["ulimit", "-n"] },
  };

/** A refusal of the operating system as an error that says what it was about; any other error as it is. */
export function readable(error: unknown): unknown {
  if (error instanceof ShelterError || !(error instanceof Error)) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const known = code === undefined ? undefined : SYSTEM_ERRORS[code];
  if (!known) return error;
  const full = known.id === "disk-full" && path !== undefined ? dirname(path) : undefined;
  return new ShelterError(
    known.id,
    `${syscall ?? "writing"} ${path ?? "a file"}`,
    full === undefined ? known.why : `${known.why}: the file system of ${full}`,
    full === undefined ? known.fix : [...known.fix, full],
    {
      cause: error,
    },
  );
}
