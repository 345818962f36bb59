/**
 * The way out of a pairing, as a unit of its own: what names the peer goes, whatever runs put it there and whoever was paired since. Bringing back what one run
 * found would not do: `authorized_keys`, `known_hosts` and the keys are of all pairings together.
 */
import { withdraw } from "./exchange.ts";
import { dirname, join } from "node:path";
import { inHome } from "../keep/home.ts";
import { readJournal, standingRuns } from "../keep/journal.ts";
import { readManifest, type Saved } from "../keep/snapshot.ts";
import type { Probe } from "../machine/probe.ts";
import type { Call, Finding, HostName, Step, Unit } from "../unit.ts";
import { answerPath, peerProgram, proofPath } from "./facts.ts";
import { ROLES } from "./offer.ts";
import { sumsAreSigned } from "./signature.ts";
import { withoutPeer, withPeerKeys } from "./ssh_files.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY } from "./store.ts";

/** The id of every run that pairs or ends a pairing, and what the flag of such a run begins with. */
export const PAIR_ID = "08_shelter_pair";
const FLAG = "paired_";

/** The status file that tells of the pairing with a host. */
export function pairFlag(peer: HostName): string {
  return `${FLAG}${peer}`;
}

/** A file that is not ours alone, without its part about the peer. `wanted` undefined: it goes. */
interface SharedFile {
  readonly path: string;
  readonly now: string | undefined;
  readonly wanted: string | undefined;
  readonly mode: number;
}

/** What is left of a pairing on this host. */
export interface UnpairFacts {
  readonly host: HostName;
  readonly peer: HostName;
  /** Whether it is known here where the peer is: only then can it be told. */
  readonly known: boolean;
  /** Files that are about the peer alone. */
  readonly files: readonly string[];
  readonly shared: readonly SharedFile[];
  /** This host's own keys, certificate and signature: nobody else is paired that knows them. */
  readonly own: readonly string[];
  /** A folder of the pairing's making that is empty now. */
  readonly emptied: readonly string[];
  /** Runs that stand of this pairing, newest first. */
  readonly runs: readonly string[];
}

/** Runs of pairings that stand, newest first, each with its peer. */
export function standingPairings(
  probe: Probe,
): readonly { readonly run: string; readonly peer: HostName; readonly index: number }[] {
  return standingRuns(readJournal(probe), PAIR_ID)
    .filter(({ flag }) => flag.startsWith(FLAG))
    .map(({ run, flag, index }) => ({ run, peer: flag.slice(FLAG.length), index }));
}

/** Hosts that this one has keys of, or a run about: by name. A damaged note of trust is one too. */
export function partners(probe: Probe): readonly HostName[] {
  const trusted = probe
    .list(inHome.trust(probe.home))
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length));
  return [...new Set([...trusted, ...standingPairings(probe).map(({ peer }) => peer)])].sort();
}

/** The unit. `tell` has the peer take back its side; left out on the side that was told. */
export function unpairUnit(peer: HostName, tell?: Call): Unit<UnpairFacts> {
  return {
    id: PAIR_ID,
    flag: pairFlag(peer),
    summary: `End the pairing of this host with ${peer}`,
    needs: {},
    observe: (probe) => observe(probe, peer),
    diagnose: (facts) => (tell ? untold(facts) : []),
    plan: (facts) => plan(facts, tell !== undefined),
    // a pairing that was cut off is taken back by this unit, too
    calls: { tell: tell ?? (() => Promise.resolve()), withdraw },
    undoes: ({ runs }) => runs,
    fingerprint: () => null,
    digest: () => ({ peer, address: null, paired_at: null, proven: false }),
  };
}

async function observe(probe: Probe, peer: HostName): Promise<UnpairFacts> {
  const { home } = probe;
  const there = (path: string) => probe.stat(path) !== undefined;
  const others = partners(probe).filter((name) => name !== peer);
  const own = [
    ...ROLES.flatMap((role) => [role, `${role}.pub`]),
    ...[GATEWAY_KEY, GATEWAY_CERTIFICATE],
  ].map((name) => inHome.identity(home, name));
  const signature = join(home, "bin", "SHA256SUMS.sig");
  const authorized = await authorizedKeys(probe, peer);
  const folder = dirname(authorized.path);
  return {
    host: probe.host,
    peer,
    known: there(inHome.trust(home, peer)),
    files: [
      inHome.trust(home, peer),
      proofPath(home, peer),
      answerPath(home, peer),
      inHome.contact(home, peer),
    ].filter(there),
    shared: [authorized, knownHostsOf(probe, peer)],
    own:
      others.length > 0
        ? []
        : [...own.filter(there), ...((await sumsAreSigned(probe)) ? [signature] : [])],
    emptied:
      wasAbsent(foundAs(probe, folder)) && there(folder) && probe.list(folder).length === 0
        ? [folder]
        : [],
    runs: standingPairings(probe)
      .filter((one) => one.peer === peer)
      .map(({ run }) => run),
  };
}

/** It is again as the first pairing found it, where nobody changed anything else in it. */
async function authorizedKeys(probe: Probe, peer: HostName): Promise<SharedFile> {
  const path = join(probe.me.home, ".ssh", "authorized_keys");
  const now = probe.text(path);
  const mode = probe.stat(path)?.mode ?? 0o600;
  if (now === undefined) return { path, now, wanted: undefined, mode };
  const wanted = withPeerKeys(now, peer, peerProgram(probe.home));
  const found = foundAs(probe, path);
  if (found?.saved.was === "absent" && wanted === "") return { path, now, wanted: undefined, mode };
  if (found?.saved.was === "file") {
    const before = probe.text(join(inHome.snapshots(probe.home, found.run), found.saved.blob));
    // ours begins on a line of its own: it may have needed a line break before it
    if (before !== undefined && (wanted === before || wanted === `${before}\n`))
      return { path, now, wanted: before, mode: found.saved.mode };
  }
  return { path, now, wanted, mode };
}

function knownHostsOf(probe: Probe, peer: HostName): SharedFile {
  const path = inHome.identity(probe.home, "known_hosts");
  const now = probe.text(path);
  const rest = withoutPeer(now ?? "", peer);
  return { path, now, wanted: rest === "" ? undefined : rest, mode: 0o600 };
}

/** How the oldest pairing of which a snapshot is kept found a path. */
function foundAs(
  probe: Probe,
  path: string,
): { readonly run: string; readonly saved: Saved } | undefined {
  const order = readJournal(probe).filter(
    ({ kind, script }) => kind === "begin" && script === PAIR_ID,
  );
  for (const { run } of order) {
    const saved = readManifest(probe, run)
      ?.rounds.flatMap((round) => round.saved.flat())
      .find((one) => one.path === path);
    if (saved) return { run, saved };
  }
  return undefined;
}

function wasAbsent(found: ReturnType<typeof foundAs>): boolean {
  return found?.saved.was === "absent";
}

/** Without its note of trust nobody knows where the peer is, or with which keys to go there. */
function untold({ known, files, shared, own, host, peer }: UnpairFacts): readonly Finding[] {
  const something = files.length + own.length > 0 || shared.some((one) => one.now !== one.wanted);
  if (known || !something) return [];
  return [
    {
      id: "peer-untold",
      level: "warn",
      what: `${peer} is not told: it is not known here any more where it is`,
      why: `it may go on letting this host's keys in until its own operator ends it there: ./bin/shelter pair ${host} --undo`,
      evidence: "runtime/trust",
    },
  ];
}

function plan({ peer, known, files, shared, own, emptied }: UnpairFacts, tells: boolean) {
  const changed = shared.filter((one) => one.now !== undefined && one.now !== one.wanted);
  const steps: Step[] = [];
  // first, while the way there still stands: where it fails nothing was changed
  if (known && tells) {
    steps.push({
      do: "call",
      name: "tell",
      args: { peer },
      undo: { restore: [] },
      why: `${peer} takes back its side`,
    });
  }
  for (const { path, wanted, mode } of changed) {
    steps.push(
      wanted === undefined ? { do: "remove", path } : { do: "write", path, content: wanted, mode },
    );
  }
  for (const path of [...files, ...own, ...emptied]) steps.push({ do: "remove", path });
  return steps;
}
