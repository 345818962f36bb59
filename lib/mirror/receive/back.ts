/** `back`: a peer's `--undo`. What a generation changed here comes back: the one before goes live, and replaced versions return where they are still what it left. */
import { join } from "node:path";
import { ShelterError } from "../../errors.ts";
import { inHome } from "../../keep/home.ts";
import type { CallContext, HostName } from "../../unit.ts";
import { agreedPlace, generationPlace, keptPlace, MANIFEST } from "../places.ts";
import { ARRIVING, GENERATION } from "../rsync_words.ts";
import { place, stateAt } from "./apply.ts";
import { keptFile, readRecord } from "./record.ts";
import { takeReleaseBack } from "./release.ts";
import { programOf } from "../held.ts";
import { removeLinks } from "./verify.ts";

/**
 * Takes a generation back. One that never went live needs nothing.
 * @returns what could not be brought back, each with the reason.
 */
export async function takeGenerationBack(
  context: CallContext,
  from: HostName,
  generation: string,
): Promise<readonly string[]> {
  const { probe, act } = context;
  if (!GENERATION.test(generation)) {
    throw new ShelterError("request-refused", "taking a generation back", "it has no name of ours");
  }
  const folder = generationPlace(probe.home, from, generation);
  const record = readRecord(context, from, generation);
  if (record === undefined) return [];
  const current = inHome.mirror(probe.home, from, "current");
  const left: string[] = [];
  const now = probe.stat(current)?.target;
  if (now !== undefined && now !== generation && now > generation) {
    return [`generation ${now} is live on ${probe.host} by now: ${generation} stays as it is`];
  }
  for (const { path, was, now: made } of [...record.changes].reverse()) {
    const live = join(probe.home, path);
    const there = await stateAt(context, live);
    if (there === was) continue;
    if (there !== made) {
      left.push(`${path} was changed on ${probe.host} since: it stays`);
      continue;
    }
    const why = await place(context, was, keptFile(probe.home, from, generation, path), live, path);
    if (why !== undefined) left.push(why);
  }
  if (record.release) {
    const live = programOf(probe, join(probe.home, "bin"));
    const { was, now: brought } = record.release;
    if (live === brought && was !== null && was !== live) {
      const why = await takeReleaseBack(context, was);
      if (why !== undefined) left.push(why);
    }
  }
  if (now === generation) {
    const before = record.previous;
    if (before !== null && probe.stat(generationPlace(probe.home, from, before))?.kind === "dir")
      act.link(current, before);
    else {
      if (before !== null) left.push(`generation ${before} is not kept on ${probe.host} any more`);
      act.remove(current);
    }
  }
  for (const path of record.links) act.remove(join(probe.home, path));
  const note = agreedPlace(probe.home, probe.host, from);
  if (record.agreed === null) act.remove(note);
  else act.write(note, record.agreed);
  // what arrived is right, and waits there for the next run
  if (probe.stat(folder)) {
    act.remove(join(folder, MANIFEST));
    removeLinks(context, folder);
    act.remove(`${folder}${ARRIVING}`);
    act.rename(folder, `${folder}${ARRIVING}`);
  }
  act.remove(keptPlace(probe.home, from, generation));
  act.removeIfEmpty(inHome.mirror(probe.home, from, "kept"));
  for (const path of [...record.folders].reverse()) act.removeIfEmpty(join(probe.home, path));
  return left;
}
