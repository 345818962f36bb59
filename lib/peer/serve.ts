/** `shelter peer …`: what a paired host may ask of this one. Started by sshd's forced command, or, for the first contact, by the operator's own login. */
import { dirname } from "node:path";
import { onSignals } from "../cli/signals.ts";
import type { Place } from "../cli/place.ts";
import { runUnit } from "../engine.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { createAct } from "../machine/act.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe } from "../machine/probe.ts";
import { challenge, challengeText } from "../trust/exchange.ts";
import { answerPath } from "../trust/facts.ts";
import { type Offer, OFFER_LIMIT, parseOffer, type Role, ROLES } from "../trust/offer.ts";
import { signText } from "../trust/signature.ts";
import { ownOffer, readTrust } from "../trust/store.ts";
import { pairUnit } from "../trust/unit.ts";
import type { CallContext, RunReport, Say } from "../unit.ts";
import { refused, requestWords } from "./words.ts";

/** What the world outside gives a request. */
export interface PeerRequest {
  readonly machine: Machine;
  readonly place: Place;
  /** Words after `shelter peer`. */
  readonly words: readonly string[];
  /** SSH_ORIGINAL_COMMAND; set where sshd forced us. */
  readonly original: string | undefined;
  /** SSH_CONNECTION: "client-address client-port server-address server-port". */
  readonly connection: string | undefined;
  readonly input: (limit: number) => Promise<string>;
  readonly print: (text: string) => void;
  /** Runs one of the 21 names with these flags and prints what it says; gives its exit code. */
  readonly runScript: (script: string, argv: readonly string[]) => Promise<number>;
}

/** A service speaks to nobody: its words would be taken for the answer. */
const MUTE: Say = {
  line: () => undefined,
  detail: () => undefined,
  progress: () => undefined,
  stream: () => undefined,
};

/** Answers one request; gives the exit code. Throws a ShelterError for what is refused. */
export async function answerPeer(request: PeerRequest): Promise<number> {
  const [role = "", peer = ""] = request.words;
  if (role === "answer" || role === "forget") {
    // through a forced command nobody reaches this: its words are fixed and begin with a role
    if (request.original !== undefined) throw refused("it is for the operator's own login");
    return role === "answer" ? answer(request, peer) : forget(request, peer);
  }
  if (!isLogin(role)) throw refused(`there is no role ${role}`);
  const context = contextOf(request);
  const trust = readTrust(context.probe, peer);
  if (!trust) throw refused(`${peer} is not paired with this host`);
  const [verb = "", ...rest] = requestWords(request.original);
  if (role !== "operator") throw refused(`${role} may not ask for ${verb}`);
  switch (verb) {
    case "prove": {
      const [nonce = ""] = rest;
      if (!/^[0-9a-f-]{36}$/.test(nonce)) throw refused("the challenge is malformed");
      const said = challengeText(nonce, peer, context.probe.host);
      request.print(await signText(context.probe, context.act, said));
      return 0;
    }
    case "prove-back":
      await challenge(context, trust);
      return 0;
    case "exchange": {
      const offer = parseOffer(await request.input(OFFER_LIMIT), peer);
      if (offer.name !== peer) throw refused(`${peer} may not speak for ${offer.name}`);
      return accept(request, { ...offer, address: offer.address || trust.address });
    }
    case "run": {
      const { script, argv } = parseRun(await request.input(OFFER_LIMIT));
      return request.runScript(script, argv);
    }
    default:
      throw refused(`operator may not ask for ${verb}`);
  }
}

function isLogin(word: string): word is Exclude<Role, "signing"> {
  return word !== "signing" && (ROLES as readonly string[]).includes(word);
}

/** The first contact: the peer introduces itself on standard input, and is answered in kind. */
async function answer(request: PeerRequest, peer: string): Promise<number> {
  const offer = parseOffer(await request.input(OFFER_LIMIT), peer);
  if (offer.name !== peer) throw refused(`${peer} may not speak for ${offer.name}`);
  const address = offer.address || (request.connection?.split(" ")[0] ?? "");
  if (address === "") {
    throw new ShelterError(
      "no-address",
      `pairing with ${peer}`,
      "it said no address, and ssh does not tell where it called from",
    );
  }
  return accept(request, { ...offer, address });
}

async function accept(request: PeerRequest, offer: Offer): Promise<number> {
  const { probe, act } = contextOf(request);
  const path = answerPath(probe.home, offer.name);
  act.makeFolder(dirname(path));
  act.write(path, JSON.stringify(offer));
  const report = await run(request, offer.name, "apply");
  if (EXIT[report.outcome] !== 0) {
    act.remove(path);
    throw asError(report, `pairing with ${offer.name}`);
  }
  const own = await ownOffer(probe);
  if (!own) throw new Error("paired without keys of our own");
  request.print(`${JSON.stringify(own)}\n`);
  return 0;
}

/** Takes back what the pairing with this peer changed here. */
async function forget(request: PeerRequest, peer: string): Promise<number> {
  const report = await run(request, peer, "undo");
  const { probe, act } = contextOf(request);
  // the undo brings back what the peer had said; it was only ever there for that run
  act.remove(answerPath(probe.home, peer));
  if (EXIT[report.outcome] !== 0) throw asError(report, `forgetting ${peer}`);
  return 0;
}

function asError({ error, outcome, left }: RunReport, what: string): ShelterError {
  const why = [error?.why ?? outcome, ...(left ?? [])].join("; ");
  return new ShelterError(error?.id ?? outcome, error?.what ?? what, why, error?.fix);
}

function run(request: PeerRequest, peer: string, mode: "apply" | "undo"): Promise<RunReport> {
  return runUnit(pairUnit(peer), {
    machine: request.machine,
    ...request.place,
    want: { yes: true, since: new Date(request.machine.now()).toISOString() },
    mode,
    say: MUTE,
    signal: onSignals(() => undefined),
  });
}

function contextOf({ machine, place }: PeerRequest): CallContext {
  const probe = createProbe(machine, place.home, place.host);
  return { probe, act: createAct(machine, probe), say: MUTE, signal: new AbortController().signal };
}

/** Flags that would send us on, or elsewhere: a peer acts on this host and in this home alone. */
const NOT_FOR_PEERS = /^--(host|home)(=|$)/;

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
    if (NOT_FOR_PEERS.test(one)) throw refused(`${one} is not for a peer to say`);
    return one;
  });
  return { script, argv: flags };
}
