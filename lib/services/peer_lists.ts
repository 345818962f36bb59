/** What paired hosts say that they serve, taken up at a pace that no peer sets. */
import type { ServedModel } from "../gateway/config.ts";

/** Between two changes of one peer's list, in milliseconds: each is a new document on the disk, and a new mapping of names. */
const PACE = 600_000;

interface Heard {
  readonly served: readonly ServedModel[];
  /** When it changed last; undefined while it is the first. */
  readonly changed?: number;
}

/** The lists that hold, by peer. Mutable: one for a gateway's whole life. */
export class PeerLists {
  readonly #heard = new Map<string, Heard>();

  /** What holds for `peer` once it said `served` at `now` (milliseconds): its word, or the last one while a change comes too soon. Undefined where it is silent. */
  take(
    peer: string,
    served: readonly ServedModel[] | undefined,
    now: number,
  ): readonly ServedModel[] | undefined {
    if (served === undefined) return undefined;
    const last = this.#heard.get(peer);
    if (last === undefined) {
      this.#heard.set(peer, { served });
      return served;
    }
    if (JSON.stringify(last.served) === JSON.stringify(served)) return last.served;
    if (last.changed !== undefined && now - last.changed < PACE) return last.served;
    this.#heard.set(peer, { served, changed: now });
    return served;
  }
}
