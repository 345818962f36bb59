/** What stands in the way of mirroring to one peer. Pure. */
import { bytes as inBytes } from "../report/text.ts";
import type { Failure } from "../unit.ts";
import type { PeerFacts, ReachedPeer } from "./facts.ts";
import { SPARE } from "./places.ts";

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
  // as the peer itself will judge it
  const spare = modelBytes(peer) > 0 ? SPARE.model : SPARE.files;
  if (bytes > 0 && state.free < bytes + spare) {
    const why = `${name} has ${inBytes(state.free)} free, ${inBytes(bytes)} are to go there, and ${inBytes(spare)} stay free`;
    return { id: "peer-disk-full", what, why, fix: ["./bin/00_check_structure", "--host", name] };
  }
  return undefined;
}

/** Bytes that a push would send. */
export function bytesOf(peer: ReachedPeer): number {
  return peer.own.fresh.reduce((sum, one) => sum + one.bytes, 0) + modelBytes(peer);
}

/** Of models only what did not come in earlier tries; one of which more came than there is begins anew. */
function modelBytes({ models, state }: ReachedPeer): number {
  const came = new Map(state.arriving.map((one) => [one.sha256, one.bytes]));
  return models.send.reduce((sum, { sha256, bytes }) => {
    const there = came.get(sha256) ?? 0;
    return sum + (there <= bytes ? bytes - there : bytes);
  }, 0);
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
