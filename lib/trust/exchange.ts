/** The exchange of two hosts' introductions, over a connection whose host key the person has seen; and the proof that each can now reach the other. */
import { dirname } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { peerFailure, sayToPeer } from "../peer/channel.ts";
import { commandLine } from "../report/text.ts";
import type { Call, CallContext, Json } from "../unit.ts";
import { answerPath, peerProgram, proofOf, proofPath } from "./facts.ts";
import { OFFER_LIMIT, parseOffer, type Trust } from "./offer.ts";
import { isSignedBy } from "./signature.ts";
import { alias, knownHosts } from "./ssh_files.ts";
import { ownOffer, readTrust } from "./store.ts";

/** Tells the peer who we are and keeps what it says of itself, for the next round to write down. */
export const contact: Call = async (context, args) => {
  const { probe, act } = context;
  const own = await ownOffer(probe);
  if (!own) throw new Error("contact before this host has its keys");
  const peer = text(args, "peer");
  const answer = await byOwnSsh(context, args, ["answer", probe.host], JSON.stringify(own));
  const offer = parseOffer(answer, peer);
  if (offer.name !== peer) {
    throw new ShelterError(
      "other-name",
      `pairing with ${peer}`,
      `the host at ${text(args, "address")} calls itself ${offer.name}: shared.cfg there and here must name it the same`,
      ["./bin/shelter", "pair", offer.name],
    );
  }
  const seen = new Set(args["hostKeys"] as readonly string[]);
  if (!offer.hostKeys.some((key) => seen.has(key))) {
    throw new ShelterError(
      "host-key-differs",
      `pairing with ${peer}`,
      "the host keys that it names are not the one that it showed",
    );
  }
  const reached = { ...offer, address: text(args, "address"), port: Number(args["port"]) };
  const path = answerPath(probe.home, peer);
  act.makeFolder(dirname(path));
  act.write(path, JSON.stringify(reached));
};

/** Takes a contact back that failed later on: the peer is again as it was before, and what it said is dropped. */
export const withdraw: Call = async (context, args) => {
  const { probe, act } = context;
  act.remove(answerPath(probe.home, text(args, "peer")));
  await byOwnSsh(context, args, ["forget", probe.host], "");
};

/** Proves both directions: the peer signs our challenge over its forced command, and does the same to us. */
export const prove: Call = async (context, args) => {
  const { probe, act } = context;
  const peer = text(args, "peer");
  const trust = readTrust(probe, peer);
  const own = await ownOffer(probe);
  if (!trust || !own) throw new Error("a proof before the exchange");
  await challenge(context, trust);
  const back = await sayToPeer(act, probe.home, trust, "operator", ["prove-back", probe.host]);
  if (back.code !== 0) throw peerFailure(trust, `having ${peer} reach this host`, back);
  act.write(proofPath(probe.home, peer), proofOf(own, trust));
};

/** What is signed for a challenge: who asks whom is part of it, so that an answer fits no other question. */
export function challengeText(nonce: string, asker: string, answerer: string): string {
  return `mountain-shelter proof ${nonce} ${asker} ${answerer}\n`;
}

/** Has a paired host sign a fresh challenge. Throws where it can't be reached or signs with another key. */
export async function challenge(context: CallContext, peer: Trust): Promise<void> {
  const { probe, act } = context;
  const nonce = crypto.randomUUID();
  const ran = await sayToPeer(act, probe.home, peer, "operator", ["prove", nonce]);
  if (ran.code !== 0) throw peerFailure(peer, `reaching ${peer.name}`, ran);
  const said = challengeText(nonce, probe.host, peer.name);
  if (!(await isSignedBy(probe, act, said, ran.stdout, peer.name, peer.keys.signing))) {
    throw new ShelterError(
      "proof-failed",
      `proving ${peer.name}`,
      "its signature is not of the key that it was paired with",
      ["./bin/shelter", "pair", peer.name],
    );
  }
}

/** Says `words` to a paired host's `shelter peer` by the operator's own ssh login. */
export function byOwnLogin(
  context: CallContext,
  { name, address, port, user, home, hostKeys }: Trust,
  words: readonly string[],
): Promise<string> {
  const where = { peer: name, address, port, user, home, hostKeys: [...hostKeys] };
  return byOwnSsh(context, where, words, "");
}

/** The first contact uses the operator's own ssh identity and settings, but only ever talks to the host keys that were accepted. */
async function byOwnSsh(
  context: CallContext,
  args: { readonly [key: string]: Json },
  words: readonly string[],
  input: string,
): Promise<string> {
  const { probe, act, signal } = context;
  const peer = text(args, "peer");
  const pins = inHome.work(probe.home, "pairing", `${peer}.known_hosts`);
  act.makeFolder(dirname(pins));
  act.write(pins, knownHosts([{ name: peer, hostKeys: args["hostKeys"] as readonly string[] }]));
  const option = (value: string) => ["-o", value];
  const remote = commandLine([peerProgram(text(args, "home")), "peer", ...words]);
  const ran = await act.run(
    [
      ...["ssh", "-T", "-p", String(Number(args["port"]))],
      ...option(`UserKnownHostsFile="${act.real(pins)}"`),
      ...option("GlobalKnownHostsFile=/dev/null"),
      ...option("StrictHostKeyChecking=yes"),
      ...option(`HostKeyAlias=${alias(peer)}`),
      ...option("BatchMode=yes"),
      ...option("ConnectTimeout=8"),
      ...["--", `${text(args, "user")}@${text(args, "address")}`, remote],
    ],
    { input, timeout: 120_000, signal, keep: OFFER_LIMIT },
  );
  act.remove(pins);
  signal.throwIfAborted();
  if (ran.code === 0) return ran.stdout;
  const said = ran.stderr.trim().split("\n").slice(-3).join(" ");
  const where = `${text(args, "user")}@${text(args, "address")}`;
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/.test(ran.stderr)) {
    throw new ShelterError(
      "host-key-changed",
      `reaching ${peer} with your own ssh login`,
      `${text(args, "address")} shows another host key than the one that was accepted: it was set up anew, or it is not ${peer}`,
      ["./bin/shelter", "pair", peer, "--anew"],
    );
  }
  if (ran.code === 255) {
    throw new ShelterError("peer-unreachable", `reaching ${peer} with your own ssh login`, said, [
      "ssh-copy-id",
      "-p",
      String(Number(args["port"])),
      where,
    ]);
  }
  if (ran.code === 126 || ran.code === 127) {
    throw new ShelterError(
      "peer-without-binaries",
      `starting ${peerProgram(text(args, "home"))} on ${peer}`,
      said,
      ["rsync", "-aH", `${probe.home}/bin/`, `${where}:${text(args, "home")}/bin/`],
    );
  }
  throw new ShelterError(
    "peer-refused",
    `pairing with ${peer}`,
    `it ended with ${ran.code}: ${said}`,
  );
}

function text(args: { readonly [key: string]: Json }, name: string): string {
  const value = args[name];
  if (typeof value !== "string") throw new Error(`${name} is missing`);
  return value;
}
