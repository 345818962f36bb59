/** The programs that were built here for a peer: they go over only as they were built, under this host's signature. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { isOlder, type Made, madeOf } from "../orchestra/made.ts";
import { NAMES, SHELTER } from "../orchestra/names.ts";
import type { Probe } from "../machine/probe.ts";
import { signFile, sumsAreSigned } from "../trust/signature.ts";
import type { Call, HostName } from "../unit.ts";
import type { Hashes } from "./hashes.ts";
import { programOf, releaseKey } from "./held.ts";
import { releaseFolder } from "./places.ts";
import { keyOf } from "./scan.ts";
import { judge, type State, type States, type Verdict } from "./three_way.ts";
import type { PeerState } from "./wire.ts";

/** What stands in bin/hosts/<peer>. */
export interface ReleaseLook {
  /** Hash of the program; null where nothing was built for the peer. */
  readonly program: State;
  /** Why it is not sent; undefined where it may be. */
  readonly damaged?: string;
  readonly signed: boolean;
  /** What the program says of its making. */
  readonly made?: Made;
}

/** What is to be done about the peer's programs. */
export interface ReleaseVerdict {
  /** "same" also where none were built for it; "theirs" also where they are held back. */
  readonly verdict: Verdict;
  /** They stand in the peer's generation. */
  readonly goes: boolean;
  /** Held back: they are older than this, which the peer has or had. */
  readonly newer?: Made;
  /** Held back: the peer can't tell how new they must be. */
  readonly closed?: true;
}

/** Looks at what was built for a peer. */
export async function lookAtRelease(
  probe: Probe,
  peer: HostName,
  hashes: Hashes,
): Promise<ReleaseLook> {
  const folder = join(probe.home, releaseFolder(peer));
  const program = programOf(probe, folder);
  if (program === null) return { program, signed: false };
  const path = join(releaseFolder(peer), SHELTER);
  const entry = probe.stat(join(probe.home, path));
  const sums = probe.text(join(folder, "SHA256SUMS"));
  const damaged =
    sums !== NAMES.map((name) => `${program}  ${name}\n`).join("")
      ? "SHA256SUMS does not name all of our programs with one hash"
      : entry?.kind !== "file" || (await hashes.of(path, keyOf(entry))) !== program
        ? "the program is not the one that SHA256SUMS names"
        : undefined;
  if (damaged !== undefined) return { program, signed: false, damaged };
  const made = madeOf(probe, join(folder, SHELTER));
  return { program, signed: await sumsAreSigned(probe, folder), ...(made ? { made } : {}) };
}

/** Judges the programs by what both sides agreed on, and by their age: older ones go only where the peer's own operator allowed just them. */
export function judgeRelease(
  { program, damaged, made }: ReleaseLook,
  base: States,
  there: Pick<PeerState, "program" | "newest" | "allows" | "programsClosed">,
  peer: HostName,
  settled: ReadonlySet<string>,
): ReleaseVerdict {
  if (program === null || damaged !== undefined) return { verdict: "same", goes: false };
  const key = releaseKey(peer);
  const verdict = judge(base[key] ?? null, program, there.program);
  if (verdict === "same" || verdict === "agree") return { verdict, goes: true };
  if (program === there.allows) return { verdict: "mine", goes: true };
  if (there.programsClosed) return { verdict: "theirs", goes: false, closed: true };
  const newest = there.newest ?? undefined;
  if (newest && isOlder(made, newest)) return { verdict: "theirs", goes: false, newer: newest };
  const mine = verdict === "mine" || settled.has(key);
  return { verdict: mine ? "mine" : verdict, goes: mine };
}

/** Signs the list of hashes of what was built for a peer. */
export const signRelease: Call = async ({ probe, act }, args) => {
  const { peer } = args;
  if (typeof peer !== "string") throw new Error('the step has no "peer"');
  const sums = join(probe.home, releaseFolder(peer), "SHA256SUMS");
  if (probe.stat(sums)?.kind !== "file") {
    throw new ShelterError("release-absent", `signing ${sums}`, "there is no such file");
  }
  await signFile(probe, act, sums);
};
