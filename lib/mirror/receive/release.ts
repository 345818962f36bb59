/** A release of the programs that a peer built for this host: it goes live only if the peer's own signature says so, every hash agrees, and it is not older. */
import { dirname, join } from "node:path";
import { NAMES, SHELTER } from "../../orchestra/names.ts";
import { madeOf } from "../../orchestra/made.ts";
import { giveNames, releaseName, releaseProgram, setLive } from "../../orchestra/releases.ts";
import type { Trust } from "../../trust/offer.ts";
import { isSignedBy } from "../../trust/signature.ts";
import { programOf } from "../held.ts";
import type { State } from "../three_way.ts";
import { newestFor, readMark, refusedForAge, setMark } from "./mark.ts";
import type { Hands } from "./verify.ts";

/** Programs that did not go live. `older`: for their age alone. */
export interface Refused {
  readonly why: string;
  readonly older: boolean;
}

const refused = (why: string, older = false): Refused => ({ why, older });

/**
 * Puts the release in `folder` live, if `was` is the program that is live here.
 * @returns undefined where it was done.
 */
export async function placeRelease(
  hands: Hands,
  trust: Trust,
  folder: string,
  was: State,
): Promise<Refused | undefined> {
  const { probe, act } = hands;
  const bin = join(probe.home, "bin");
  const sums = probe.text(join(folder, "SHA256SUMS"));
  const signature = probe.text(join(folder, "SHA256SUMS.sig"));
  const sha256 = programOf(probe, folder);
  if (sums === undefined || signature === undefined || sha256 === null)
    return refused("the programs came without their list of hashes or its signature");
  if (sums !== sumsOf(sha256)) return refused("the list of hashes does not name our programs");
  if (!(await isSignedBy(probe, act, sums, signature, trust.name, trust.keys.signing)))
    return refused(`the list of hashes is not signed by ${trust.name}`);
  const program = join(folder, SHELTER);
  if (probe.stat(program)?.kind !== "file" || (await probe.sha256(program)) !== sha256)
    return refused("the program is not the one that was signed for");
  const live = programOf(probe, bin);
  const made = madeOf(probe, program);
  if (live === sha256) {
    const mark = readMark(probe, trust.name);
    if (!mark.damaged) setMark(hands, trust.name, newestFor(probe, mark));
    return undefined;
  }
  if (live !== was) return refused("other programs were put live here in the meantime");
  const older = refusedForAge(probe, trust.name, sha256, made);
  if (older !== undefined) return refused(older, true);
  if (was !== null) keepForTheWayBack(hands, was);
  const place = releaseProgram(probe.home, releaseName(sha256));
  act.makeFolder(dirname(place), 0o755);
  // a copy, not a second name: what is live must not share its bytes with what a peer's rsync compares with
  act.remove(place);
  act.copy(program, place);
  act.chmod(place, 0o755);
  giveNames(hands, bin, sha256);
  setLive(hands, releaseName(sha256));
  // last: what is live counts by itself, so a kill before this line lets nothing older in
  setMark(hands, trust.name, made);
  return undefined;
}

/** Programs that were copied here by hand stand in no release yet: they become the one that `shelter update --back` goes back to. */
function keepForTheWayBack(hands: Hands, was: string): void {
  const { probe, act } = hands;
  const place = releaseProgram(probe.home, releaseName(was));
  const now = join(probe.home, "bin", SHELTER);
  if (probe.stat(place) === undefined) {
    if (probe.stat(now)?.kind !== "file") return;
    act.makeFolder(dirname(place), 0o755);
    act.hardLinkOrCopy(now, place);
  }
  setLive(hands, releaseName(was));
}

/** Goes back to the program that was live before, where it is still kept. @returns why not; undefined where it did. */
export async function takeReleaseBack(hands: Hands, was: string): Promise<string | undefined> {
  const { probe } = hands;
  const place = releaseProgram(probe.home, releaseName(was));
  if (probe.stat(place)?.kind !== "file" || (await probe.sha256(place)) !== was)
    return `the programs from before (${releaseName(was)}) are not kept any more`;
  giveNames(hands, join(probe.home, "bin"), was);
  setLive(hands, releaseName(was));
  return undefined;
}

function sumsOf(sha256: string): string {
  return NAMES.map((name) => `${sha256}  ${name}\n`).join("");
}
