/** A release of the programs that a peer built for this host: it goes live only if the peer's own signature says so, and every hash agrees. */
import { dirname, join } from "node:path";
import { NAMES, SHELTER } from "../../orchestra/names.ts";
import { giveNames, releaseName, releaseProgram, setLive } from "../../orchestra/releases.ts";
import type { Trust } from "../../trust/offer.ts";
import { isSignedBy } from "../../trust/signature.ts";
import { programOf } from "../held.ts";
import type { State } from "../three_way.ts";
import type { Hands } from "./verify.ts";

/**
 * Puts the release in `folder` live, if `was` is the program that is live here.
 * @returns why it was not done; undefined where it was.
 */
export async function placeRelease(
  hands: Hands,
  trust: Trust,
  folder: string,
  was: State,
): Promise<string | undefined> {
  const { probe, act } = hands;
  const bin = join(probe.home, "bin");
  const sums = probe.text(join(folder, "SHA256SUMS"));
  const signature = probe.text(join(folder, "SHA256SUMS.sig"));
  const sha256 = programOf(probe, folder);
  if (sums === undefined || signature === undefined || sha256 === null)
    return "the programs came without their list of hashes or its signature";
  if (sums !== sumsOf(sha256)) return "the list of hashes does not name our programs";
  if (!(await isSignedBy(probe, act, sums, signature, trust.name, trust.keys.signing)))
    return `the list of hashes is not signed by ${trust.name}`;
  const program = join(folder, SHELTER);
  if (probe.stat(program)?.kind !== "file" || (await probe.sha256(program)) !== sha256)
    return "the program is not the one that was signed for";
  const live = programOf(probe, bin);
  if (live === sha256) return undefined;
  if (live !== was) return "other programs were put live here in the meantime";
  if (was !== null) keepForTheWayBack(hands, was);
  const place = releaseProgram(probe.home, releaseName(sha256));
  act.makeFolder(dirname(place), 0o755);
  // a copy, not a second name: what is live must not share its bytes with what a peer's rsync compares with
  act.remove(place);
  act.copy(program, place);
  act.chmod(place, 0o755);
  giveNames(hands, bin, sha256);
  setLive(hands, releaseName(sha256));
  return undefined;
}

/** Programs that were copied here by hand stand in no release yet. */
function keepForTheWayBack({ probe, act }: Hands, was: string): void {
  const place = releaseProgram(probe.home, releaseName(was));
  const now = join(probe.home, "bin", SHELTER);
  if (probe.stat(place) !== undefined || probe.stat(now)?.kind !== "file") return;
  act.makeFolder(dirname(place), 0o755);
  act.hardLinkOrCopy(now, place);
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
