/** Shared folders of which nothing is left here: a disk that is not mounted looks the same as a person who cleared up, so nothing is removed elsewhere unasked. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";
import { isWithin, SHARED } from "./places.ts";
import type { Conflict, States } from "./three_way.ts";

/** A shared file or folder that is gone here as a whole, with what the peer still has of it. */
export interface Vanished {
  readonly top: string;
  readonly theirs: readonly Conflict[];
  /** Set for a shared.cfg that was begun anew here: the name of the damaged one that waits beside it, null where there is none. */
  readonly reset?: string | null;
}

/**
 * The tops of which both hosts had something and this one has nothing more. The one file of a folder that is still there is not one: it was taken out by itself.
 * @param settled what the operator said to send as it is.
 */
export function vanishedTops(
  probe: Pick<Probe, "home" | "stat">,
  mine: States,
  theirs: States,
  base: States,
  settled: ReadonlySet<string>,
): readonly Vanished[] {
  const below = (states: States, top: string) =>
    Object.keys(states).filter((path) => isWithin(path, top));
  return SHARED.flatMap((top) => {
    const had = below(base, top).length;
    const there = probe.stat(join(probe.home, top)) !== undefined;
    if (settled.has(top) || below(mine, top).length > 0 || had < (there ? 2 : 1)) return [];
    const still = below(theirs, top);
    if (still.length === 0) return [];
    return [
      { top, theirs: still.map((path) => ({ path, mine: null, theirs: theirs[path] ?? null })) },
    ];
  });
}
