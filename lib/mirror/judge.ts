/** What stands in the way of mirroring to one peer. Pure. */
import { bytes as inBytes } from "../report/text.ts";
import type { Failure } from "../unit.ts";
import type { PeerFacts, ReachedPeer } from "./facts.ts";
import { bytesToCome } from "./models.ts";
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
  // models find their own room, or stay behind
  const bytes = fileBytes(peer);
  if (bytes > 0 && state.free < bytes + SPARE.files) {
    const why = `${name} has ${inBytes(state.free)} free, ${inBytes(bytes)} are to go there, and ${inBytes(SPARE.files)} stay free`;
    return { id: "peer-disk-full", what, why, fix: ["./bin/00_check_structure", "--host", name] };
  }
  return undefined;
}

/** Bytes that a push would send. */
export function bytesOf(peer: ReachedPeer): number {
  const { models, state } = peer;
  return models.send.reduce((sum, one) => sum + bytesToCome(one, state.arriving), fileBytes(peer));
}

function fileBytes({ own }: Pick<ReachedPeer, "own">): number {
  return own.fresh.reduce((sum, one) => sum + one.bytes, 0);
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
