/** What a run that was cut off is taken back around: paths that somebody changed since are neither deleted nor written over. */
import { join } from "node:path";
import { freeName } from "../keep/aside.ts";
import { isOurRecord, type Saved, stateBefore, stateOf } from "../keep/snapshot.ts";
import type { Written } from "../keep/wrote.ts";
import type { CallContext } from "../unit.ts";

/** Something that is kept although the run is taken back. */
export interface Kept {
  readonly path: string;
  /** Where it is now: `path` itself where it stays. */
  readonly now: string;
  readonly why: "changed" | "unknown" | "in-use";
}

/** Given to a taking back that has to look before it brings a path back. */
export interface Sparing {
  readonly written: ReadonlyMap<string, Written>;
  /** Filled as it goes. */
  readonly kept: Kept[];
}

type Hands = Pick<CallContext, "probe" | "act">;

/**
 * Whether a path may be brought back now. What is neither as before the run nor as the run wrote it stays in place where nothing stood before, and else is
 * moved aside first. Where nothing tells what the run wrote there (a call that was cut off), our own records are taken for the run's, all else is moved aside.
 */
export async function mayRestore(
  hands: Hands,
  saved: Saved,
  { written, kept }: Sparing,
): Promise<boolean> {
  const { probe } = hands;
  const { path } = saved;
  const before = stateBefore(saved);
  if (before === undefined) return true; // of such a path no content comes back
  const now = await stateOf(probe, path);
  if (now === "absent" || now === before) return true;
  const own = written.get(path);
  if (own?.states.has(now) === true && now !== "dir") return true;
  if (saved.was === "absent" && now === "dir") {
    const inside = probe.list(path).map((name) => join(path, name));
    // the folder stays as what is in it does; only what nothing else tells of is news
    const news = inside.some((one) => !kept.some(({ now: there }) => isIn(one, there)));
    if (news && !isOurRecord(probe.home, path)) kept.push({ path, now: path, why: "in-use" });
    return inside.length === 0;
  }
  const known = own?.known ?? true;
  if (!known && isOurRecord(probe.home, path)) return true;
  if (known && saved.was === "absent") {
    kept.push({ path, now: path, why: "changed" });
    return false;
  }
  moveAside(hands, path, kept, known ? "changed" : "unknown");
  return true;
}

/** Gives what stands at `path` another name beside it. */
export function moveAside(
  { probe, act }: Hands,
  path: string,
  kept: Kept[],
  why: Kept["why"] = "changed",
): void {
  const now = freeName(probe, path, why === "unknown" ? "cut-off" : "changed");
  act.rename(path, now);
  kept.push({ path, now, why });
}

/** One line for the person: what was kept, why, where it is. */
export function keptLine({ path, now, why }: Kept): string {
  if (why === "in-use") return `the folder ${path} stays: what it holds is not of that run`;
  if (why === "unknown") return `what the run or somebody else left of ${path} is kept as ${now}`;
  return now === path
    ? `${path} was changed since that run: it stays as it is`
    : `${path} was changed since that run: kept as ${now}, and what was there before the run is back`;
}

/** The command to try next. */
export function keptFix({ path, now, why }: Kept): readonly string[] {
  if (why === "in-use") return ["ls", "-la", path];
  return now === path ? ["cat", path] : ["diff", path, now];
}

function isIn(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`) || folder.startsWith(`${path}/`);
}
