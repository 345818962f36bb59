/** What 00_check_structure says of the paired hosts. Pure. A host that does not answer is unknown: never this home's failure. */
import { duration } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import { differences } from "./parity.ts";
import type { ParityFacts, PeerLooked } from "./parity_facts.ts";

const DAY = 86_400_000;
/** From here on a difference of the clocks is said, and from here on it does harm: certificates and the order of changes go by it. Milliseconds. */
const CLOCK_OFF = 60_000;
const CLOCK_FAR_OFF = 600_000;
/** Days before its end at which a certificate is worth a word; `pair` renews at the same. */
const ENDS_SOON = 30;

/** All findings, host by host. */
export function parityFindings(facts: ParityFacts | undefined): readonly Finding[] {
  if (!facts) return [];
  const [first] = facts.peers;
  return [
    ...(first && facts.ownCertificateEnds !== undefined
      ? certificate("this host's certificate", facts.ownCertificateEnds, facts.now, [
          "./bin/shelter",
          "pair",
          first.name,
          "--renew",
        ])
      : []),
    ...facts.peers.flatMap((peer) => ofPeer(facts, peer)),
  ];
}

function ofPeer(facts: ParityFacts, peer: PeerLooked): readonly Finding[] {
  const { name, asked, certificateEnds, renewThere, bring } = peer;
  const whose = `the certificate of ${name}`;
  const ends = certificate(whose, certificateEnds, facts.now, renewThere);
  if (!asked.answered) {
    const { id, why, fix } = asked.failure;
    const grave = id === "host-key-changed";
    return [
      ...ends,
      {
        id: `parity.${name}`,
        level: grave ? "warn" : "unknown",
        what: `what differs from ${name} is not known: ${why}`,
        why: grave
          ? "nothing is told to a host that may be another"
          : "only what both hosts tell can be compared",
        evidence: "its word over the witness key",
        ...(fix ? { fix } : {}),
      },
    ];
  }
  const found = differences(facts.own, asked.word, bring);
  return [
    ...ends,
    ...clock(name, asked.clockOff),
    ...(found.length > 0
      ? found
      : [
          {
            id: `parity.${name}`,
            level: "ok",
            what: `this home and that of ${name} hold the same`,
            why: "each can stand in for the other",
            evidence: `its word of ${asked.word.at}`,
          } as const,
        ]),
  ];
}

function clock(name: string, off: number): readonly Finding[] {
  if (Math.abs(off) < CLOCK_OFF) return [];
  const far = duration(Math.abs(off));
  return [
    {
      id: `clock.${name}`,
      level: "warn",
      what: `the clock of ${name} is ${far} ${off > 0 ? "ahead of" : "behind"} this host's`,
      why:
        Math.abs(off) >= CLOCK_FAR_OFF
          ? "certificates end and changes are ordered by it: what is newer can't be told"
          : "what is newer on which host is judged by it",
      evidence: "its word's time, and half of the way there and back",
      fix: ["timedatectl", "status"],
    },
  ];
}

function certificate(
  whose: string,
  ends: number,
  now: number,
  fix: readonly string[],
): readonly Finding[] {
  const days = (ends - now) / DAY;
  if (Number.isNaN(days) || days >= ENDS_SOON) return [];
  const date = new Date(ends).toISOString().slice(0, 10);
  return [
    {
      id: `certificate-ends.${whose.split(" ").at(-1) ?? ""}`,
      level: "warn",
      what: days < 0 ? `${whose} ended on ${date}` : `${whose} ends on ${date}`,
      why:
        days < 0
          ? "the gateways refuse each other: no answer is carried over"
          : "from then on no answer is carried over",
      evidence: `${Math.floor(days)} days`,
      fix,
    },
  ];
}
