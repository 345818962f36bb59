/** The programs that were built here for a peer: they go over only as they were built, under this host's signature. */
import { join } from "node:path";
import { NAMES, SHELTER } from "../orchestra/names.ts";
import { ShelterError } from "../errors.ts";
import type { Probe } from "../machine/probe.ts";
import { signFile, sumsAreSigned } from "../trust/signature.ts";
import type { Call, HostName } from "../unit.ts";
import type { Hashes } from "./hashes.ts";
import { programOf, releaseKey } from "./held.ts";
import { releaseFolder } from "./places.ts";
import { keyOf } from "./scan.ts";
import { judge, type State, type States, type Verdict } from "./three_way.ts";

/** What stands in bin/hosts/<peer>. */
export interface ReleaseLook {
  /** Hash of the program; null where nothing was built for the peer. */
  readonly program: State;
  /** Why it is not sent; undefined where it may be. */
  readonly damaged?: string;
  readonly signed: boolean;
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
  return { program, signed: await sumsAreSigned(probe, folder) };
}

/** What is to be done about the peer's programs; "same" also where none were built for it. */
export function judgeRelease(
  { program, damaged }: ReleaseLook,
  base: States,
  live: State,
  peer: HostName,
  settled: ReadonlySet<string>,
): Verdict {
  if (program === null || damaged !== undefined) return "same";
  const key = releaseKey(peer);
  const verdict = judge(base[key] ?? null, program, live);
  return settled.has(key) && verdict !== "same" && verdict !== "agree" ? "mine" : verdict;
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
