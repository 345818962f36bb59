/** Asking a paired host how it is, within a short time: over the witness key, which can do nothing else. */
import { asFailure } from "../errors.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { Trust } from "../trust/offer.ts";
import type { Failure } from "../unit.ts";
import { RELEASE } from "../release.ts";
import { bringPrograms, peerFailure, sayToPeer } from "./channel.ts";
import { releaseName, releaseOrder } from "./other_release.ts";
import type { Word } from "./word.ts";
import { parseWord, releaseSaid, WORD_LIMIT } from "./word_parse.ts";

/** What came of asking. */
export type Asked =
  | {
      readonly answered: true;
      readonly word: Word;
      /** Its clock less ours, in milliseconds, as far as the way there and back lets tell. */
      readonly clockOff: number;
    }
  | { readonly answered: false; readonly failure: Failure };

/** Seconds to connect, and milliseconds for the whole answer. */
const CONNECT = 2;
const PATIENCE = 6000;

/** Asks. Only reads, so that it may be part of a look. Never throws: a host that does not answer is a fact. */
export async function askHost(
  probe: Pick<Probe, "home" | "now">,
  act: Pick<Act, "run" | "real">,
  peer: Trust,
): Promise<Asked> {
  const what = `asking ${peer.name} how it is`;
  try {
    const sent = probe.now();
    const ran = await sayToPeer(act, probe.home, peer, "witness", ["status"], {
      timeout: PATIENCE,
      keep: WORD_LIMIT + 1,
      connect: CONNECT,
    });
    const came = probe.now();
    if (ran.code !== 0 || ran.timedOut) {
      return { answered: false, failure: peerFailure(peer, what, ran).failure() };
    }
    const word = parseWord(ran.stdout, peer.name);
    if (!word) return { answered: false, failure: otherForm(peer, what, ran.stdout) };
    return { answered: true, word, clockOff: Date.parse(word.at) - (sent + came) / 2 };
  } catch (error) {
    return { answered: false, failure: asFailure(error) };
  }
}

/** An answer that can't be read; what of it names a release tells whose is the older. */
function otherForm(peer: Trust, what: string, said: string): Failure {
  const theirs = releaseSaid(said);
  const order = theirs && releaseOrder(RELEASE, theirs);
  const whose =
    theirs && order
      ? `: its programs are ${order}, ${releaseName(theirs)}, here ${releaseName(RELEASE)}`
      : "";
  const why = `${peer.name} answered, but not in a form that this release knows${whose}`;
  const fix = order === "newer" ? ["./bin/shelter", "update"] : bringPrograms(peer);
  return { id: "peer-other-release", what, why, fix };
}
