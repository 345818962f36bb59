/**
 * Room in memory for the requests of all clients and peers together: many large ones at once must not end the program, and with it everybody's answers.
 * What a request costs is estimated from its bytes before it is taken apart.
 */
import { Refusal } from "./errors.ts";

/**
 * Bytes of memory that a request costs (Bun 1.4.4, bodies of 16 MB): it is gathered, decoded, taken apart, and written out again for an engine. Of bytes that is
 * the most that was measured of one body; of values two to three times as much, for those of earlier requests are not gone at once.
 */
const COST = {
  /** Of each byte: as it came, and where a character beyond Latin-1 makes all texts twice as wide. */
  byte: 6,
  wideByte: 11,
  /** Of each object, list, member of an object, and further value. */
  object: 480,
  list: 300,
  member: 320,
  value: 48,
} as const;

const MIB = 2 ** 20;
/** The memory of all requests together; of its unit's 512 MiB the gateway needs 120 for itself and its streams, and what was just given back is not free at once. */
const ALL = 240 * MIB;
/** Of it so much is kept for requests that cost no more than `SMALL` each: whoever sends large ones leaves that to the others. */
const KEPT = 48 * MIB;
const SMALL = 4 * MIB;

/** Seconds after which a request that found no room may find some. */
const AGAIN = 5;

/** The room that is there, and what is taken of it. */
export class Bodies {
  #taken = 0;

  /** What all requests that are open now cost, in bytes. */
  get taken(): number {
    return this.#taken;
  }

  /** A share for one request, empty yet. `largest` is the operator's limit for one request, which always fits where nothing else is there. */
  share(largest: number): Share {
    let own = 0;
    let over = false;
    const most = Math.max(ALL - KEPT, largest * COST.wideByte);
    const mustFit = (cost: number) => {
      if (cost > most) {
        throw new Refusal(413, "body_too_large", "the request holds too many values");
      }
      if (this.#taken - own + cost > most + (cost <= SMALL ? KEPT : 0)) {
        const why = "the requests that are open take all the memory that there is for them";
        throw new Refusal(429, "memory_full", why, AGAIN);
      }
    };
    const grow = (cost: number) => {
      if (over || cost <= own) return;
      mustFit(cost);
      this.#taken += cost - own;
      own = cost;
    };
    return {
      announced: (bytes) => mustFit(bytes * COST.byte),
      came: (bytes) => grow(bytes * COST.byte),
      whole: (body) => grow(costOf(body)),
      giveBack: () => {
        over = true;
        this.#taken -= own;
        own = 0;
      },
    };
  }
}

/** What one request takes of the room. All but `giveBack` throw a Refusal: 429 where there is no room now, 413 where there never would be. */
export interface Share {
  /** So many bytes are to come: looked at, and not taken yet, for they may never come. */
  announced(bytes: number): void;
  /** So many bytes have come. */
  came(bytes: number): void;
  /** All of it is there, and is to be taken apart. */
  whole(body: Uint8Array): void;
  /** The request is over. */
  giveBack(): void;
}

/** An estimate of what a JSON text costs, from above. A text that is no JSON costs no more: it is given up where that shows. */
export function costOf(body: Uint8Array): number {
  let cost = 0;
  let wide = false;
  let quoted = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number; // within its length
    // RFC 3629: from C4 on a byte begins a character beyond U+00FF
    if (byte >= 0xc4) wide = true;
    else if (byte === 0x5c) {
      if (body[at + 1] === 0x75) wide = true; // "\u" may be any
      at++;
    } else if (byte === 0x22) quoted = !quoted;
    else if (!quoted) cost += OF.get(byte) ?? 0;
  }
  return cost + body.length * (wide ? COST.wideByte : COST.byte);
}

const OF: ReadonlyMap<number, number> = new Map([
  [0x7b, COST.object],
  [0x5b, COST.list],
  [0x3a, COST.member],
  [0x2c, COST.value],
]);
