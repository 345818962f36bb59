/** When a program was made, in its own words: the build puts one line into it, so that its hash, and whatever signs that, cover its age (as `go version -m` reads it). */
import { compareVersions } from "../facts/versions.ts";
import type { Probe } from "../machine/probe.ts";

/** Which release a program is, and where that stands in their order. */
export interface Made {
  readonly version: string;
  /** When its commit was made, UTC, ISO 8601: the same however often it is built, and whenever. */
  readonly at: string;
  readonly commit: string;
}

const LINE =
  /mountain-shelter made (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\d{1,9}(?:\.\d{1,9}){1,3}) ([0-9a-f]{40,64})(?![0-9a-f])/;
/** Longest line, characters; and bytes that are looked through at a time. Our own code stands at a program's end. */
const LONGEST = 160;
const WINDOW = 1024 * 1024;

/** The line that the build puts into a program. */
export function madeLine({ version, at, commit }: Made): string {
  return `mountain-shelter made ${at} ${version} ${commit}`;
}

/** What a program says of its making; undefined where it says nothing: it is from before programs did, or was built outside a clone. */
export function madeOf(probe: Pick<Probe, "stat" | "bytes">, path: string): Made | undefined {
  const entry = probe.stat(path);
  const size = entry?.kind === "file" ? entry.size : 0;
  for (let end = size; end > 0; end -= WINDOW) {
    const from = Math.max(0, end - WINDOW);
    const bytes = probe.bytes(path, from, Math.min(size, end + LONGEST) - from);
    const [, at, version, commit] = LINE.exec(Buffer.from(bytes).toString("latin1")) ?? [];
    if (at && version && commit) return { version, at, commit };
  }
  return undefined;
}

/** What a document says of a program's making; undefined where it is not of that form. */
export function parseMade(value: unknown): Made | undefined {
  const { version, at, commit } = (value ?? {}) as Partial<Record<keyof Made, unknown>>;
  const line = `mountain-shelter made ${String(at)} ${String(version)} ${String(commit)}`;
  if (LINE.exec(line)?.[0] !== line) return undefined;
  return { version: String(version), at: String(at), commit: String(commit) };
}

/** True where `one` comes before `other`: by version, then by its commit's time. What does not say its age is the oldest. */
export function isOlder(one: Made | undefined, other: Made | undefined): boolean {
  if (!other) return false;
  if (!one) return true;
  return (compareVersions(one.version, other.version) || (one.at < other.at ? -1 : 0)) < 0;
}

/** The newer of two. */
export function newerOf(one: Made | undefined, other: Made | undefined): Made | undefined {
  return isOlder(one, other) ? other : one;
}

/** A release in words. */
export function sayMade(made: Made | undefined): string {
  if (!made) return "one that does not say its age";
  return `${made.version} of ${made.at.slice(0, 19)}Z (${made.commit.slice(0, 12)})`;
}
