/** Answering a pairing: the other host says who it is, is written down, and is told who this one is; and the way back. */
import { dirname } from "node:path";
import { onSignals } from "../cli/signals.ts";
import { runUnit } from "../engine.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { HOST_NAME } from "../hosts/name.ts";
import { inHome } from "../keep/home.ts";
import { answerPath } from "../trust/facts.ts";
import { type Offer, OFFER_LIMIT, parseOffer } from "../trust/offer.ts";
import { ownOffer } from "../trust/store.ts";
import { pairUnit } from "../trust/unit.ts";
import type { RunReport } from "../unit.ts";
import { part } from "./part.ts";
import { contextOf, MUTE, type PeerRequest } from "./request.ts";
import { refused } from "./words.ts";

/** The first contact: the peer introduces itself on standard input, and is answered in kind. */
export async function answer(request: PeerRequest, peer: string): Promise<number> {
  const offer = await offered(request, peer);
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

/** Takes back what the last exchange with this peer changed here: the peer could not end it well. */
export async function forget(request: PeerRequest, peer: string): Promise<number> {
  const report = await run(request, peer, "undo");
  const { probe, act } = contextOf(request);
  // the undo brings back what the peer had said; it was only ever there for that run
  act.remove(answerPath(probe.home, peer));
  if (EXIT[report.outcome] !== 0) throw asError(report, `forgetting ${peer}`);
  act.remove(inHome.contact(probe.home, peer));
  return 0;
}

/** Ends the pairing here, because the peer's operator ends it there. */
export async function partFrom(request: PeerRequest, peer: string): Promise<number> {
  if (!HOST_NAME.test(peer)) throw refused("it names no host");
  const { machine, place } = request;
  const voice = { say: MUTE, signal: onSignals(() => undefined) };
  const report = await part({ machine, ...place, ...voice }, peer, "not");
  if (EXIT[report.outcome] !== 0) throw asError(report, `ending the pairing with ${peer}`);
  return 0;
}

async function offered(request: PeerRequest, peer: string): Promise<Offer> {
  const offer = parseOffer(await request.input(OFFER_LIMIT), peer);
  if (offer.name !== peer) throw refused(`${peer} may not speak for ${offer.name}`);
  return offer;
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
