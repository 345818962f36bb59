/** Which models go over, and which are brought from the peer. Pure. */
import { modelKey, type OwnModel } from "./held.ts";
import { MODELS_AT_ONCE, SPARE } from "./places.ts";
import { agreedOf, type States } from "./three_way.ts";
import type { PeerState } from "./wire.ts";

/** What a mirror does about models. */
export interface ModelPlan {
  /** To send: the peer has none of it, or not all of it. */
  readonly send: readonly OwnModel[];
  /** To send, and too large for what is free there beside the others. */
  readonly left: readonly OwnModel[];
  /** Damaged or missing here, and sound on the peer. */
  readonly fetch: readonly { readonly sha256: string; readonly bytes: number }[];
  /** Damaged here, and nowhere sound. */
  readonly damaged: readonly OwnModel[];
  /** What both will have then, as agreed states. */
  readonly agreed: States;
}

/**
 * A model that both had once and one side has no more was taken away there on purpose: it is not sent again, and nothing is taken away here, unless a name over
 * there still leads to it. One that finds no room holds up neither the files nor the models that do.
 * @param missing hashes that a name here leads to without a file.
 * @param files bytes that go to the peer beside the models.
 */
export function planModels(
  own: readonly OwnModel[],
  missing: readonly string[],
  peer: Pick<PeerState, "models" | "missing" | "arriving" | "free">,
  records: { readonly mine: States; readonly theirs: States },
  settled: ReadonlySet<string>,
  files: number,
): ModelPlan {
  const base = agreedOf(records.mine, records.theirs);
  const theirs = new Map(peer.models.map((one) => [one.sha256, one]));
  const damaged = own.filter((one) => one.damaged);
  const sound = own.filter((one) => !one.damaged);
  const wanted = sound.filter(({ sha256, bytes }) => {
    const there = theirs.get(sha256);
    if (there) return there.bytes !== bytes; // one of the two is not whole: ours is proven before it is sent
    const key = modelKey(sha256);
    return base[key] === undefined || peer.missing.includes(sha256) || settled.has(key);
  });
  const left = withoutRoom(wanted, peer, files);
  const going = wanted.filter((one) => !left.includes(one));
  const send = going.slice(0, MODELS_AT_ONCE); // the others are the next run's
  const lacking = [...damaged.map((one) => one.sha256), ...missing];
  const fetch = lacking.flatMap((sha256) => {
    const there = theirs.get(sha256);
    return there?.proven === true ? [{ sha256, bytes: there.bytes }] : [];
  });
  const agreed: Record<string, string> = {};
  const ours = new Set(sound.map((one) => one.sha256));
  const coming = new Set([...send, ...fetch].map((one) => one.sha256));
  for (const hash of new Set([...ours, ...theirs.keys(), ...coming])) {
    const both = ours.has(hash) && theirs.has(hash);
    if (both || coming.has(hash) || base[modelKey(hash)] !== undefined)
      agreed[modelKey(hash)] = hash;
  }
  const fetched = new Set(fetch.map((one) => one.sha256));
  const lost = damaged.filter((one) => !fetched.has(one.sha256));
  return { send, left, fetch, damaged: lost, agreed };
}

/** The models for which a peer has no room, judged as it will itself when each comes. Those that need least go first, so that as many as can be go. */
function withoutRoom(
  wanted: readonly OwnModel[],
  { free, arriving }: Pick<PeerState, "free" | "arriving">,
  files: number,
): readonly OwnModel[] {
  let room = free - files - SPARE.model;
  const by = wanted.map((one) => ({ one, needs: bytesToCome(one, arriving) }));
  return by
    .toSorted((a, b) => a.needs - b.needs)
    .filter(({ needs }) => {
      // what came whole takes no room
      if (needs > 0 && needs > room) return true;
      room -= needs;
      return false;
    })
    .map(({ one }) => one);
}

/** Bytes of a model that did not come in earlier tries; one of which more came than there is begins anew. */
export function bytesToCome(
  { sha256, bytes }: Pick<OwnModel, "sha256" | "bytes">,
  arriving: PeerState["arriving"],
): number {
  const came = arriving?.find((one) => one.sha256 === sha256)?.bytes ?? 0;
  return came <= bytes ? bytes - came : bytes;
}
