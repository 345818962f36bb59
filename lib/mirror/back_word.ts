/** What a host signs to have the programs that it brought taken back on a peer: whoever holds its mirror key alone can't bring older ones back. */
import type { Trust } from "../trust/offer.ts";
import { signText } from "../trust/signature.ts";
import type { CallContext } from "../unit.ts";
import { ask } from "./talk.ts";
import { parseState } from "./wire.ts";

/** `digest` is of the generation's manifest. That holds the host's journal, which only grows: so the word fits one generation, once. */
export function backText(from: string, on: string, digest: string): string {
  return `mountain-shelter back ${from} ${on} ${digest}\n`;
}

/** Our signature over that; "" where the generation is not the one that is live on the peer: then no programs of it are. `argv`: ssh's words. */
export async function backWord(
  { probe, act }: CallContext,
  trust: Trust,
  argv: readonly string[],
  generation: string,
): Promise<string> {
  const { current, digest } = parseState(await ask(act, argv, trust, ["state"]), trust.name);
  if (current !== generation || digest === null) return "";
  return signText(probe, act, backText(probe.host, trust.name, digest));
}
