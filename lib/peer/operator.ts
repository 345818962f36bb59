/** What the operator's key of a paired host may ask for: proofs, the end of the pairing, runs of the scripts, and models by their hash. */
import { RELEASE } from "../release.ts";
import { printable } from "../report/text.ts";
import { OFFER_LIMIT } from "../trust/offer.ts";
import { challenge, challengeText } from "../trust/exchange.ts";
import { signText } from "../trust/signature.ts";
import { partFrom } from "./introduce.ts";
import { sendModel } from "./model.ts";
import { PART } from "./part.ts";
import { notForPeers } from "./permitted.ts";
import { contextOf, type PeerRequest } from "./request.ts";
import type { Answers } from "./serve.ts";
import { refused } from "./words.ts";

/** The verb with which a script is carried out here, and the line that has it take itself back. */
export const CARRY_OUT = "carry-out";
export const INTERRUPT = "interrupt";
/** What stands before the script's own words on stderr, followed by the release, " at " and this host's time: from here on a broken line means that something was begun. */
export const BEGINS = "shelter begins: ";

/** This host's release in a line, without what differs from host to host by design. */
export function releaseLine(): string {
  const { version, commit, dirty } = RELEASE;
  return `${version} ${commit?.slice(0, 12) ?? "of no commit"}${dirty ? " with changes" : ""}`;
}

export const answerOperator: Answers = async (request, trust, verb, words) => {
  const context = contextOf(request);
  switch (verb) {
    case "prove": {
      const [nonce = ""] = words;
      if (!/^[0-9a-f-]{36}$/.test(nonce)) throw refused("the challenge is malformed");
      const said = challengeText(nonce, trust.name, context.probe.host);
      request.print(await signText(context.probe, context.act, said));
      return 0;
    }
    case "prove-back":
      await challenge(context, trust);
      return 0;
    case PART:
      return partFrom(request, trust.name);
    case CARRY_OUT:
      return carryOut(request);
    case "model":
      return sendModel(request, words);
    default:
      throw refused(`operator may not ask for ${verb}`);
  }
};

/** Runs a script. Who asked may have it take itself back; so does one that hangs up, because nobody is there any more who knows of the run. */
async function carryOut(request: PeerRequest): Promise<number> {
  const opening = await request.opening(OFFER_LIMIT);
  const { script, argv } = parseRun(opening.line);
  opening.further((line) => {
    if (line === undefined || line === INTERRUPT) request.interrupt();
  });
  request.remark(`${BEGINS}${releaseLine()} at ${new Date(request.machine.now()).toISOString()}`);
  return request.runScript(script, argv);
}

function parseRun(text: string): { readonly script: string; readonly argv: readonly string[] } {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    throw refused("what to run is not JSON");
  }
  const { script, argv } = (said ?? {}) as { readonly script?: unknown; readonly argv?: unknown };
  if (typeof script !== "string" || !/^\d\d_[a-z_]{1,40}$/.test(script))
    throw refused("it names no script");
  if (!Array.isArray(argv) || argv.length > 64) throw refused("its flags are no list");
  const flags = argv.map((one: unknown) => {
    if (typeof one !== "string" || one.includes("\0")) throw refused("a flag is no text");
    return one;
  });
  const odd = notForPeers(script, flags);
  if (odd !== undefined) throw refused(`${printable(odd.slice(0, 80))} is not for a peer to say`);
  return { script, argv: flags };
}
