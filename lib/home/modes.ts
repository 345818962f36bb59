/** Which permissions an entry of a home may have. Pure. */
import { inHome } from "../keep/home.ts";
import type { Entry } from "../machine/probe.ts";

/** Bits that let group or others in at all, and those that let them write. */
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
/** setuid and setgid on a file: nothing of ours has them. */
const SET_ID = 0o6000;

/** Where every file is a secret, whatever its name: private keys, whom this host believes, keys of running engines. */
export const SECRET_FOLDERS = [inHome.identity(""), inHome.trust(""), inHome.keys("")];
/** Settings and records: nobody else's to read, in whatever folder they are. */
const RECORD_FOLDERS = ["logs", "status", inHome.locks("")];
const RECORD_FILES = /^(?:shared\.cfg(?:\.damaged-.*)?|history_main\.log)$/;
/** Folders that only their owner may enter. What is inside is then out of reach, whatever its mode. */
const PRIVATE_FOLDERS = new Set([
  "logs",
  "models",
  "runtime",
  "status",
  "venv",
  "runtime/work",
  "runtime/snapshots",
  "runtime/quarantine",
  "models/sha256",
  ...SECRET_FOLDERS,
]);
/** File names that mean a secret, wherever they are. */
const SECRET =
  /(?:^|[._-])(?:key|token|secret|password|passwd)s?$|\.(?:key|pem|age|p12|kdbx)$|^\.env(?:\..*)?$|^id_(?:rsa|ecdsa|ed25519)$|^\.netrc$/i;
/** Not secrets for all their names: public keys, examples, and the certificates that Python packages ship. */
const NO_SECRET = /\.(?:pub|example|sample)$/i;
const SHIPPED = /^(?:venv|lib|tests|runtime\/work)\//;

/** Why an entry's permissions are not as they should be. */
export type Fault =
  | "open-record"
  | "open-secret"
  | "open-folder"
  | "writable"
  | "set-id"
  | "locked-out";

/** The mode that an entry should have, and why it differs; undefined where it is fine. Links have none. `relative` is its path from the home, "" for the home. */
export function wrongMode(
  relative: string,
  { kind, mode }: Pick<Entry, "kind" | "mode">,
): { readonly mode: number; readonly fault: Fault } | undefined {
  if (kind !== "file" && kind !== "dir") return undefined;
  const want = kind === "dir" ? folderMode(relative, mode) : fileMode(relative, mode);
  if (want === mode) return undefined;
  return { mode: want, fault: faultOf(relative, kind, mode, want) };
}

/** True for what nobody but its owner may read. */
export function isPrivate(relative: string, kind: "file" | "dir"): boolean {
  return (
    isRecord(relative) || (kind === "dir" ? PRIVATE_FOLDERS.has(relative) : isSecret(relative))
  );
}

function folderMode(relative: string, mode: number): number {
  if (isPrivate(relative, "dir")) return (mode & ~OTHERS) | 0o700;
  return mode & ~OTHERS_WRITE;
}

function fileMode(relative: string, mode: number): number {
  const plain = mode & ~SET_ID;
  if (isPrivate(relative, "file")) return (plain & ~OTHERS) | 0o600;
  return plain & ~OTHERS_WRITE;
}

function faultOf(relative: string, kind: "file" | "dir", mode: number, want: number): Fault {
  if (kind === "file" && (mode & SET_ID) !== 0) return "set-id";
  if ((mode & OTHERS_WRITE) !== 0) return "writable";
  if ((mode & ~want) === 0) return "locked-out";
  if (kind === "dir") return "open-folder";
  return isRecord(relative) ? "open-record" : "open-secret";
}

function isRecord(relative: string): boolean {
  return RECORD_FILES.test(relative) || RECORD_FOLDERS.some((folder) => isIn(folder, relative));
}

function isIn(folder: string, relative: string): boolean {
  return relative === folder || relative.startsWith(`${folder}/`);
}

function isSecret(relative: string): boolean {
  if (SECRET_FOLDERS.some((folder) => isIn(folder, relative))) return true;
  const name = relative.slice(relative.lastIndexOf("/") + 1);
  return SECRET.test(name) && !NO_SECRET.test(name) && !SHIPPED.test(relative);
}
