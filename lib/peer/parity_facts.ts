/** What 00_check_structure sees of the paired hosts: their word beside our own. Reads only. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";
import { releaseFolder } from "../mirror/places.ts";
import { type Release, RELEASE } from "../release.ts";
import { expiryOf } from "../trust/offer.ts";
import { GATEWAY_CERTIFICATE, paired } from "../trust/store.ts";
import type { Failure, HostName } from "../unit.ts";
import { inHome } from "../keep/home.ts";
import { isStale, type PeerSeen, readWatch } from "../watch/state.ts";
import { type Asked, askHost } from "./ask.ts";
import { bringPrograms } from "./channel.ts";
import { holdingsOf, type Holdings } from "./holdings.ts";

/** One paired host. Times are milliseconds since 1970. */
export interface PeerLooked {
  readonly name: HostName;
  readonly asked: Asked;
  /** When the certificate ends that this host knows of it. */
  readonly certificateEnds: number;
  /** The command that has it make a new one, by the operator's own login. */
  readonly renewThere: readonly string[];
  /** The command that brings this host's programs there: the mirror where some were built for it. */
  readonly bring: readonly string[];
}

/** All of it. */
export interface ParityFacts {
  readonly now: number;
  readonly own: { readonly host: HostName; readonly release: Release; readonly holds: Holdings };
  /** When this host's own certificate ends; undefined where there is none. */
  readonly ownCertificateEnds?: number;
  readonly peers: readonly PeerLooked[];
}

/** Looks at every paired host, all at once; undefined where this one stands alone. */
export async function observeParity(probe: Probe): Promise<ParityFacts | undefined> {
  const peers = paired(probe);
  if (peers.length === 0) return undefined;
  const certificate = probe.text(inHome.identity(probe.home, GATEWAY_CERTIFICATE));
  const looked = await Promise.all(
    peers.map(async (peer): Promise<PeerLooked> => {
      const down = knownDown(probe, peer.name);
      // a look through the same eyes as all others: it ends with them, and writes nothing
      const asked: Asked = down
        ? { answered: false, failure: down }
        : await askHost(probe, { run: (...one) => probe.run(...one), real: (path) => path }, peer);
      const login = ["ssh", "-t", "-p", String(peer.port), `${peer.user}@${peer.address}`];
      return {
        name: peer.name,
        asked,
        certificateEnds: expiryOf(peer.certificate),
        renewThere: [...login, join(peer.home, "bin/shelter"), "pair", probe.host, "--renew"],
        bring: probe.stat(join(probe.home, releaseFolder(peer.name)))
          ? ["./bin/05_rsync_mirror", "--plan"]
          : bringPrograms(peer),
      };
    }),
  );
  return {
    now: probe.now(),
    own: { host: probe.host, release: RELEASE, holds: await holdingsOf(probe) },
    ...(certificate === undefined ? {} : { ownCertificateEnds: expiryOf(certificate) }),
    peers: looked,
  };
}

/** What the watcher has found out already need not be waited for once more. */
function knownDown(probe: Probe, name: HostName): Failure | undefined {
  const state = readWatch(probe);
  if (!state || "damaged" in state || isStale(state, probe.now())) return undefined;
  const seen: PeerSeen | undefined = [...(state.peer ? [state.peer] : []), ...state.others].find(
    (one) => one.name === name,
  );
  if (seen?.state !== "down") return undefined;
  const why = `the watcher has had no answer since ${seen.since}${seen.why === undefined ? "" : `: ${seen.why}`}`;
  return {
    id: "peer-down",
    what: `asking ${name} how it is`,
    why,
    fix: ["./bin/shelter", "status"],
  };
}
