/** What stands in the way of mirroring to one peer. Pure. */
import { bytes as inBytes } from "../report/text.ts";
import type { Failure } from "../unit.ts";
import type { PeerFacts, ReachedPeer } from "./facts.ts";

/** Bytes that stay free on a peer, for its own records. */
const SPARE = 64 * 1024 * 1024;

/** Why nothing goes to a peer now; undefined where it can. */
export function blockOf(peer: PeerFacts): Failure | undefined {
  if (!peer.reached) return peer.failure;
  const { name, state } = peer;
  const what = `mirroring to ${name}`;
  if (state.readOnly) {
    const why = `the home on ${name} is read-only`;
    return { id: "peer-read-only", what, why, fix: ["./bin/shelter", "status"] };
  }
  const bytes = bytesOf(peer);
  if (bytes > 0 && state.free < bytes + SPARE) {
    const why = `${name} has ${inBytes(state.free)} free, and ${inBytes(bytes)} are to go there`;
    return { id: "peer-disk-full", what, why, fix: ["./bin/00_check_structure", "--host", name] };
  }
  return undefined;
}

/** Bytes that a push would send. */
export function bytesOf({ own, models }: ReachedPeer): number {
  const files = own.fresh.reduce((sum, one) => sum + one.bytes, 0);
  return files + models.send.reduce((sum, one) => sum + one.bytes, 0);
}

/** True where the peer is to get a generation. */
export function isDue({ own, state, merge, models, release, unknown }: ReachedPeer): boolean {
  return (
    own.news ||
    state.damaged.length > 0 ||
    merge.changes.length > 0 ||
    models.send.length > 0 ||
    release.verdict === "mine" ||
    unknown.there
  );
}
