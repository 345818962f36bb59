/** `back`: a peer's `--undo`. What a generation changed here comes back: the one before goes live, and replaced versions return where they are still what it left. */
import { join } from "node:path";
import { ShelterError } from "../../errors.ts";
import { inHome } from "../../keep/home.ts";
import { isOlder, madeOf } from "../../orchestra/made.ts";
import { releaseName, releaseProgram } from "../../orchestra/releases.ts";
import { SHELTER } from "../../orchestra/names.ts";
import type { Trust } from "../../trust/offer.ts";
import { isSignedBy } from "../../trust/signature.ts";
import type { CallContext } from "../../unit.ts";
import { backText } from "../back_word.ts";
import { agreedPlace, generationPlace, keptPlace, MANIFEST } from "../places.ts";
import { ARRIVING, GENERATION } from "../rsync_words.ts";
import { place, stateAt } from "./apply.ts";
import { setMark } from "./mark.ts";
import { type CommitRecord, keptFile, readRecord } from "./record.ts";
import { takeReleaseBack } from "./release.ts";
import { digestOf, programOf } from "../held.ts";
import { removeLinks } from "./verify.ts";

/**
 * Takes a generation back. One that never went live needs nothing. `signature`: the peer's own, over `backText`; older programs come back under no other word.
 * @returns what could not be brought back, each with the reason.
 */
export async function takeGenerationBack(
  context: CallContext,
  trust: Trust,
  generation: string,
  signature: () => Promise<string>,
): Promise<readonly string[]> {
  const { probe, act } = context;
  const from = trust.name;
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
    const text = backText(from, probe.host, digestOf(probe.text(join(folder, MANIFEST)) ?? ""));
    const isMeant = async () =>
      isSignedBy(probe, context.act, text, await signature(), from, trust.keys.signing);
    const why = await programsBack(context, trust, record.release, isMeant);
    if (why !== undefined) left.push(why);
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

/** The programs from before, where what the generation brought is still live. @returns why not; undefined where they are, or nothing was to be done. */
async function programsBack(
  context: CallContext,
  { name }: Trust,
  { was, now: brought, newest }: NonNullable<CommitRecord["release"]>,
  isMeant: () => Promise<boolean>,
): Promise<string | undefined> {
  const { probe } = context;
  const bin = join(probe.home, "bin");
  const live = programOf(probe, bin);
  if (live !== brought || was === null || was === live) return undefined;
  const before = madeOf(probe, releaseProgram(probe.home, releaseName(was)));
  if (isOlder(before, madeOf(probe, join(bin, SHELTER))) && !(await isMeant()))
    return `the programs stay: those from before are older, and ${name} did not sign that they are to come back; on ${probe.host}: ./bin/shelter update --back`;
  const why = await takeReleaseBack(context, was);
  if (why === undefined) setMark(context, name, newest ?? undefined);
  return why;
}
