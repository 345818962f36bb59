/** Writing a file so that a reader, a crash or a power cut finds the old one or the new one, and nothing between. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  cpSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  lchownSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Owner } from "../unit.ts";
import { openRegular } from "./regular.ts";

/** Every temporary name of ours starts like this, so that 00_check_structure can tell a left-over. */
export const TEMPORARY_PREFIX = ".shelter-tmp-";

/** A name beside `path`, random, that no reader looks for. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), TEMPORARY_PREFIX + randomBytes(8).toString("hex"));
}

/** An error of the system with the file that it is about: one that a handle was written through does not name it. */
export function about(path: string, error: unknown): unknown {
  if (error instanceof Error && "code" in error) Object.assign(error, { path });
  return error;
}

/** Flushes a file's content. */
export function syncFile(path: string): void {
  const { handle } = openRegular(path);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Flushes a folder, so that a rename in it survives a power cut. */
export function syncFolder(path: string): void {
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Replaces `path` with `content`. On failure (a full disk, say) the old file is untouched and no temporary one stays. */
export function writeDurably(
  path: string,
  content: string | Uint8Array,
  options: { readonly mode: number; readonly owner?: Owner | undefined; readonly durable: boolean },
): void {
  const temporary = temporaryBeside(path);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  try {
    const handle = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
      if (options.owner) fchownSync(handle, options.owner.uid, options.owner.gid);
      fchmodSync(handle, options.mode);
      if (options.durable) fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw about(path, error);
  }
  if (options.durable) syncFolder(dirname(path));
}

/** Makes `path` a symbolic link to `target` in one step, replacing a link or file that is there. */
export function linkDurably(
  path: string,
  target: string,
  options: { readonly owner?: Owner | undefined; readonly durable: boolean },
): void {
  const temporary = temporaryBeside(path);
  symlinkSync(target, temporary);
  try {
    if (options.owner) lchownSync(temporary, options.owner.uid, options.owner.gid);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (options.durable) syncFolder(dirname(path));
}

/** Copies a file or a folder with modes and times, for root with owners too; links stay links. */
export function copyTree(from: string, to: string, root: boolean): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  if (!root) return;
  for (const [one, copy] of pairs(from, to)) {
    const { uid, gid } = lstatSync(one);
    lchownSync(copy, uid, gid);
  }
}

/** Moves what rename(2) refuses to (EXDEV): a whole and flushed copy gets the name `to`, and only then `from` goes. */
export function moveAcross(
  from: string,
  to: string,
  { root, durable }: { readonly root: boolean; readonly durable: boolean },
): void {
  const beside = temporaryBeside(to);
  try {
    copyTree(from, beside, root);
    for (const [, copy] of durable ? pairs(from, beside) : []) {
      const { isFile, isDirectory } = kindOf(copy);
      if (isFile) syncFile(copy);
      else if (isDirectory) syncFolder(copy);
    }
    renameSync(beside, to);
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    throw error;
  }
  rmSync(from, { recursive: true, force: true });
}

function kindOf(path: string) {
  const stats = lstatSync(path);
  return { isFile: stats.isFile(), isDirectory: stats.isDirectory() };
}

/** Each entry of a tree beside its copy, the top included. */
function pairs(from: string, to: string): readonly (readonly [string, string])[] {
  const below = lstatSync(from).isDirectory()
    ? readdirSync(from, { recursive: true, encoding: "utf8" })
    : [];
  return [[from, to], ...below.map((name) => [join(from, name), join(to, name)] as const)];
}
