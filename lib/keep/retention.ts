/** Which snapshots are kept: the last few of each script; older ones are folded together, so that the oldest kept one still leads back to how the host was found. */
import { join } from "node:path";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { inHome } from "./home.ts";
import { readJournal } from "./journal.ts";
import { hasActed, readLeft, readManifest, writeLeft, writeManifest } from "./snapshot.ts";
import { otherHome } from "./whose.ts";

/**
 * Folds the oldest snapshots of a script beyond the last `kept` into the next younger one. Age is the journal's order, because a clock can go back.
 * The caller holds the script's lock, so a snapshot that no journal line names is of a run that was killed before its first act: it goes. Where
 * it tells of acts, the journal has lost its lines, and it stays.
 */
export function pruneSnapshots(probe: Probe, act: Act, script: string, kept: number): void {
  const order = new Map(readJournal(probe).map((one) => [one.run, one.index]));
  const own = probe.list(inHome.snapshots(probe.home)).filter((run) => run.endsWith(`-${script}`));
  for (const run of own)
    if (!order.has(run) && !hasActed(probe, run)) act.remove(inHome.snapshots(probe.home, run));
  const runs = own
    .filter((run) => order.has(run) && !isOfOtherHome(probe, run))
    .sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0));
  while (runs.length > kept) {
    const [oldest = "", next = ""] = runs;
    fold(probe, act, oldest, next);
    runs.shift();
  }
}

/** In a copy of a home these came along: folded into one of this home, they would be taken back with it. */
function isOfOtherHome(probe: Probe, run: string): boolean {
  try {
    const manifest = readManifest(probe, run);
    return manifest !== undefined && otherHome(probe, manifest) !== undefined;
  } catch {
    return false; // damaged: said where it is needed
  }
}

/** The older one's rounds come first in the younger one's manifest, so an undo reaches them last. Can be repeated after a crash. */
function fold(probe: Probe, act: Act, older: string, younger: string): void {
  const from = readManifest(probe, older);
  const into = readManifest(probe, younger);
  if (from && into && !into.includes?.includes(older)) {
    for (const name of probe.list(inHome.snapshots(probe.home, older))) {
      if (OWN.has(name)) continue;
      const to = join(inHome.snapshots(probe.home, younger), name);
      const here = join(inHome.snapshots(probe.home, older), name);
      // a second name, not a move: a crash here must leave the older snapshot whole
      act.remove(to); // what a crash amid this very copying left
      if (probe.stat(here)?.kind === "dir") act.copyFolder(here, to);
      else act.hardLinkOrCopy(here, to);
    }
    writeLeft(probe, act, younger, { ...readLeft(probe, older), ...readLeft(probe, younger) });
    writeManifest(probe, act, {
      ...into,
      rounds: [...from.rounds, ...into.rounds],
      includes: [...(from.includes ?? []), older, ...(into.includes ?? [])],
    });
  }
  act.remove(inHome.snapshots(probe.home, older));
}

/** Files that each snapshot has of its own. */
const OWN: ReadonlySet<string> = new Set(["manifest.json", "left.json", "started", "wrote"]);
