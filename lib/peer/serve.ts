/** `shelter peer …`: what a paired host may ask of this one. Started by sshd's forced command, or, for the first contact, by the operator's own login. */
import { type Role, ROLES, type Trust } from "../trust/offer.ts";
import { readTrust } from "../trust/store.ts";
import { answer, forget, partFrom } from "./introduce.ts";
import { answerMirrorKey } from "./mirror.ts";
import { answerOperator } from "./operator.ts";
import { PART } from "./part.ts";
import { contextOf, type PeerRequest } from "./request.ts";
import { answerWitness } from "./witness.ts";
import { refused, requestWords } from "./words.ts";

export type { PeerRequest } from "./request.ts";

/** What a key of one role may ask for: a verb and its words, from a paired host. Gives the exit code. */
export type Answers = (
  request: PeerRequest,
  trust: Trust,
  verb: string,
  words: readonly string[],
) => Promise<number>;

const BY_ROLE: Readonly<Partial<Record<Role, Answers>>> = {
  mirror: answerMirrorKey,
  operator: answerOperator,
  witness: answerWitness,
};

/** What the operator's own login may ask for, about a host. */
const BY_LOGIN: Readonly<Record<string, (request: PeerRequest, peer: string) => Promise<number>>> =
  { answer, forget, [PART]: partFrom };

/** Answers one request; gives the exit code. Throws a ShelterError for what is refused. */
export async function answerPeer(request: PeerRequest): Promise<number> {
  const [role = "", peer = ""] = request.words;
  const byLogin = Object.hasOwn(BY_LOGIN, role) ? BY_LOGIN[role] : undefined;
  if (byLogin) {
    // through a forced command nobody reaches this: its words are fixed and begin with a role
    if (request.original !== undefined) throw refused("it is for the operator's own login");
    return byLogin(request, peer);
  }
  if (!isLogin(role)) throw refused(`there is no role ${role}`);
  const trust = readTrust(contextOf(request).probe, peer);
  if (!trust) throw refused(`${peer} is not paired with this host`);
  const [verb = "", ...words] = requestWords(request.original);
  const answers = BY_ROLE[role];
  if (!answers) throw refused(`${role} may not ask for ${verb}`);
  return answers(request, trust, verb, words);
}

function isLogin(word: string): word is Exclude<Role, "signing"> {
  return word !== "signing" && (ROLES as readonly string[]).includes(word);
}
