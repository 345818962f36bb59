/** What pairing looks at on this host. Reads only. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import {
  expiryOf,
  fingerprintOf,
  isOwn,
  madeOf,
  type Offer,
  type Role,
  ROLES,
  type Trust,
} from "./offer.ts";
import { sumsAreSigned } from "./signature.ts";
import { knownHosts, withPeerKeys } from "./ssh_files.ts";
import {
  GATEWAY_CERTIFICATE,
  GATEWAY_KEY,
  ownHostKeys,
  ownOffer,
  ownPublicKey,
  paired,
  soundTrust,
} from "./store.ts";

/** A text file as it is and as it should be. */
export interface TextFile {
  readonly path: string;
  readonly now: string | undefined;
  readonly wanted: string;
}

/** Facts of a pairing with one peer. */
export interface PairFacts {
  readonly host: HostName;
  readonly home: string;
  readonly peer: HostName;
  /** ISO 8601, for what is written. */
  readonly now: string;
  readonly missingKeys: readonly Role[];
  /** The gateway's, signed by itself and of the key that lies beside it: 0 days and an empty time (ISO 8601) where there is none. */
  readonly certificate: {
    readonly daysLeft: number;
    readonly madeAt: string;
  };
  readonly sshd: boolean;
  readonly own: Offer | undefined;
  /** What the peer said of itself in this pairing. */
  readonly offer: Offer | undefined;
  readonly trust: Trust | undefined;
  readonly authorizedKeys: TextFile;
  readonly knownHosts: TextFile;
  /** When both directions were last proven, with what the peer is now. */
  readonly proven: boolean;
  readonly sums: { readonly there: boolean; readonly signed: boolean };
}

/** Where the program stands that a peer's key may start. */
export function peerProgram(home: string): string {
  return join(home, "bin", "shelter");
}

/** Where an answer of the peer waits while a pairing is under way. */
export function answerPath(home: string, peer: HostName): string {
  return inHome.runtime(home, "pairing", `${peer}.json`);
}

/** Where a proof of both directions is kept: it names what was proven, so that a changed key asks for a new one. */
export function proofPath(home: string, peer: HostName): string {
  return inHome.trust(home, peer).replace(/\.json$/, ".proof");
}

/** What a proof is about: both sides' keys and certificates. */
export function proofOf(own: Offer, peer: Offer): string {
  const side = (offer: Offer) =>
    [offer.name, offer.keys.operator, offer.keys.signing, fingerprintOf(offer.certificate)].join(
      " ",
    );
  return `${side(own)}\n${side(peer)}\n`;
}

/** Looks at this host's side of the pairing with `peer`; `offer` is what the peer said just now, where it has. */
export async function observePairing(
  probe: Probe,
  peer: HostName,
  offer: Offer | undefined,
): Promise<PairFacts> {
  const { home, host } = probe;
  const trust = soundTrust(probe, peer);
  const known = offer ?? trust;
  const own = await ownOffer(probe);
  const authorizedKeys = join(probe.me.home, ".ssh", "authorized_keys");
  const authorized = probe.text(authorizedKeys);
  const hosts = inHome.identity(home, "known_hosts");
  const others = paired(probe).filter((one) => one.name !== peer);
  const certificate = probe.text(inHome.identity(home, GATEWAY_CERTIFICATE));
  const key = probe.text(inHome.identity(home, GATEWAY_KEY));
  const mine = certificate && key && isOwn(certificate, key) ? certificate : undefined;
  return {
    host,
    home,
    peer,
    now: new Date(probe.now()).toISOString(),
    missingKeys: ROLES.filter((role) => ownPublicKey(probe, role) === undefined),
    certificate: {
      daysLeft: mine === undefined ? 0 : daysLeft(probe, mine),
      madeAt: mine === undefined ? "" : new Date(madeOf(mine)).toISOString(),
    },
    sshd: ownHostKeys(probe).length > 0,
    own,
    offer,
    trust,
    authorizedKeys: {
      path: authorizedKeys,
      now: authorized,
      wanted: withPeerKeys(authorized ?? "", peer, peerProgram(home), known),
    },
    knownHosts: {
      path: hosts,
      now: probe.text(hosts),
      wanted: knownHosts(known ? [...others, known].sort(byName) : others),
    },
    proven:
      mine !== undefined &&
      own !== undefined &&
      known !== undefined &&
      probe.text(proofPath(home, peer)) === proofOf(own, known),
    sums: {
      there: probe.stat(join(home, "bin", "SHA256SUMS")) !== undefined,
      signed: await sumsAreSigned(probe),
    },
  };
}

const byName = (a: Offer, b: Offer) => (a.name < b.name ? -1 : 1);

function daysLeft(probe: Probe, pem: string): number {
  return (expiryOf(pem) - probe.now()) / 86_400_000;
}
