/** Pairing with one host, as a unit: keys, certificate, exchange, pinned host keys, restricted logins, signature, and a proof in both directions. */
import { inHome } from "../keep/home.ts";
import type { Args, Finding, HostName, Step, Unit } from "../unit.ts";
import { contact, prove, withdraw } from "./exchange.ts";
import { answerPath, observePairing, type PairFacts, proofPath } from "./facts.ts";
import { makeCertificate, makeKeys, signSums } from "./make.ts";
import { parseOffer } from "./offer.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY } from "./store.ts";
import { PAIR_ID, pairFlag } from "./unpair.ts";

/** Days before its end at which a certificate is made anew. */
export const RENEW_DAYS = 30;

/** How the other side is first reached: with the operator's own ssh, to these host keys and no others. */
export interface FirstContact {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  readonly home: string;
  readonly hostKeys: readonly string[];
}

/**
 * The unit for one peer. `first` is left out on the answering side, which only carries out what the peer's offer says.
 * Flags: `since` (ISO 8601): pair anew what was paired before; `renew`: make a certificate anew that is older than `since`.
 */
export function pairUnit(peer: HostName, first?: FirstContact): Unit<PairFacts> {
  return {
    id: PAIR_ID,
    flag: pairFlag(peer),
    summary: `Pair this host with ${peer}`,
    needs: {
      commands: { "ssh-keygen": "openssh-client", ssh: "openssh-client", openssl: "openssl" },
    },
    observe: (probe) => {
      const path = answerPath(probe.home, peer);
      const answer = probe.text(path);
      return observePairing(
        probe,
        peer,
        answer === undefined ? undefined : parseOffer(answer, path),
      );
    },
    diagnose: (facts, want) => diagnose(facts, want, first),
    plan: (facts, want) => plan(facts, want, first),
    calls: {
      make_keys: makeKeys,
      make_certificate: makeCertificate,
      sign_sums: signSums,
      contact,
      withdraw,
      prove,
    },
    fingerprint: ({ trust, proven }) => ({ peer: trust?.keys ?? null, proven }),
    digest: ({ trust, certificate, proven }) => ({
      peer,
      address: trust?.address ?? null,
      paired_at: trust?.pairedAt ?? null,
      certificate_days_left: Math.floor(certificate.daysLeft),
      proven,
    }),
  };
}

function diagnose(
  facts: PairFacts,
  _want: Args,
  first: FirstContact | undefined,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (facts.peer === facts.host) {
    findings.push({
      id: "own-name",
      level: "fail",
      what: `this host is called ${facts.host} itself`,
      why: "two hosts need two names; set name and hostname in shared.cfg",
      evidence: inHome.config(facts.home),
      fix: ["nano", inHome.config(facts.home)],
    });
  }
  if (!facts.sshd) {
    findings.push({
      id: "sshd-missing",
      level: "fail",
      what: "this host has no ssh server",
      why: "the other host answers for this one through it",
      evidence: "/etc/ssh/ssh_host_*_key.pub",
      fix: ["sudo", "apt-get", "install", "-y", "openssh-server"],
    });
  }
  if (first === undefined && facts.trust === undefined && facts.offer === undefined) {
    findings.push({
      id: "no-offer",
      level: "fail",
      what: `${facts.peer} has not introduced itself`,
      why: "a pairing starts on the other host",
      evidence: answerPath(facts.home, facts.peer),
      fix: ["./bin/shelter", "pair", facts.peer],
    });
  }
  return findings;
}

function plan(facts: PairFacts, want: Args, first: FirstContact | undefined): readonly Step[] {
  const { home, peer } = facts;
  const steps: Step[] = [];
  if (facts.missingKeys.length > 0) {
    const restore = facts.missingKeys.flatMap((role) => [
      inHome.identity(home, role),
      inHome.identity(home, `${role}.pub`),
    ]);
    steps.push({
      do: "call",
      name: "make_keys",
      args: { roles: [...facts.missingKeys] },
      undo: { restore },
    });
  }
  if (isSpent(facts) || isOlder(facts, want)) {
    const restore = [
      inHome.identity(home, GATEWAY_KEY),
      inHome.identity(home, GATEWAY_CERTIFICATE),
    ];
    steps.push({ do: "call", name: "make_certificate", args: {}, undo: { restore } });
  }
  if (steps.length > 0 || !facts.own) return steps;
  if (facts.sums.there && !facts.sums.signed) {
    const restore = [`${home}/bin/SHA256SUMS.sig`];
    steps.push({ do: "call", name: "sign_sums", args: {}, undo: { restore } });
  }
  const since = typeof want["since"] === "string" ? want["since"] : "";
  const stale = facts.trust === undefined || facts.trust.pairedAt < since;
  if (first && stale && !facts.offer) {
    const { hostKeys, ...where } = first;
    steps.push({
      do: "call",
      name: "contact",
      args: { peer, ...where, hostKeys: [...hostKeys] },
      undo: { by: "withdraw" },
      why: `${peer} is told who we are, and tells who it is`,
    });
    return steps;
  }
  const known = facts.offer ?? facts.trust;
  if (!known) return steps;
  if (facts.offer && (!facts.trust || !sameOffer(facts) || facts.trust.pairedAt < since)) {
    const trust = { ...facts.offer, pairedAt: facts.now };
    steps.push({
      do: "write",
      path: inHome.trust(home, peer),
      content: `${JSON.stringify(trust, null, 2)}\n`,
      mode: 0o600,
    });
  }
  for (const [file, mode] of [
    [facts.knownHosts, 0o600],
    [facts.authorizedKeys, 0o600],
  ] as const) {
    if (file.now === file.wanted) continue;
    steps.push({ do: "write", path: file.path, content: file.wanted, mode });
  }
  if (steps.length > 0) return steps;
  if (first && !facts.proven) {
    return [
      {
        do: "call",
        name: "prove",
        args: { peer },
        undo: { restore: [proofPath(home, peer)] },
        why: "both directions",
      },
    ];
  }
  if (facts.offer) return [{ do: "remove", path: answerPath(home, peer) }];
  return [];
}

/** Good for nobody, or not for long. One from the future was made while this host's clock was ahead. */
function isSpent({ certificate, now }: PairFacts): boolean {
  return certificate.daysLeft < RENEW_DAYS || certificate.madeAt > now;
}

/** A renewal that was asked for: the certificate is from before the asking. A certificate knows whole seconds alone. */
function isOlder(facts: PairFacts, want: Args): boolean {
  const { since, renew } = want;
  return (
    renew === true && typeof since === "string" && facts.certificate.madeAt < since.slice(0, 19)
  );
}

function sameOffer({ offer, trust }: PairFacts): boolean {
  if (!offer || !trust) return false;
  const { pairedAt: _, ...known } = trust;
  return JSON.stringify(known) === JSON.stringify(offer);
}
