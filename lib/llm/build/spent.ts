/** How long runs that were cut off have compiled already, kept in the tree that they left: a build's time is that of all its runs. */
import { join } from "node:path";
import { json, members } from "../../facts/text.ts";
import type { CallContext } from "../../unit.ts";

/** Between two notes, in milliseconds: a kill -9 loses at most this much of the count. */
const NOTE_EVERY = 10_000;

/** Counts the time of a run that compiles in `tree`, beginning now. */
export function countTime(
  { probe, act }: Pick<CallContext, "probe" | "act">,
  tree: string,
): {
  /** Milliseconds of earlier runs. */
  readonly earlier: number;
  /** Notes how far it has come; writes only now and then unless told to. */
  note(always?: boolean): void;
} {
  const path = join(tree, "spent.json");
  const { ms } = members(json(probe.text(path) ?? ""));
  const earlier = typeof ms === "number" && ms >= 0 && Number.isFinite(ms) ? ms : 0;
  const began = performance.now();
  let last = began;
  return {
    earlier,
    note: (always = false) => {
      const now = performance.now();
      if (!always && now - last < NOTE_EVERY) return;
      last = now;
      try {
        act.write(path, JSON.stringify({ ms: Math.round(earlier + now - began) }));
      } catch {
        // on a full disk the count is lost; what it fills up by is the compiler's to say
      }
    },
  };
}
