/** `commit`: what a peer sent goes live, after all of it was found to be what the peer says. A reader sees the old generation or the new one. */
import { dirname, join } from "node:path";
import { ShelterError } from "../../errors.ts";
import { inHome } from "../../keep/home.ts";
import type { Trust } from "../../trust/offer.ts";
import type { CallContext, HostName } from "../../unit.ts";
import { agreedText, agreedWith, digestOf, programOf, releaseKey } from "../held.ts";
import {
  agreedPlace,
  generationPlace,
  isMirrored,
  isShared,
  keptPlace,
  LINKED,
  MANIFEST,
  releaseFolder,
  staysInside,
} from "../places.ts";
import { ARRIVING, GENERATION, MODELS } from "../rsync_words.ts";
import { keyOf } from "../scan.ts";
import { foldersOn } from "../way.ts";
import type { CommitReply, CommitRequest, Manifest } from "../wire.ts";
import { applyChange } from "./apply.ts";
import { flush } from "./flush.ts";
import { arrivingHashes } from "./model.ts";
import { arrivingModel, placeModels } from "./models.ts";
import { type CommitRecord, keptFile, missingFolders, writeRecord } from "./record.ts";
import { readMark } from "./mark.ts";
import { placeRelease } from "./release.ts";
import { arrivedHashes, generations, liveGeneration } from "./state.ts";
import { makeLinks, verifyArrived } from "./verify.ts";

/** Carries a commit out, or says what must be sent once more; nothing has changed then. */
export async function commit(
  context: CallContext,
  trust: Trust,
  request: CommitRequest,
): Promise<CommitReply> {
  const { probe, act } = context;
  const from = trust.name;
  const { manifest } = request;
  refuseForeign(manifest, request, from, probe.host);
  const folder = generationPlace(probe.home, from, manifest.generation);
  const arriving = `${folder}${ARRIVING}`;
  if (probe.stat(folder) !== undefined) {
    throw new ShelterError(
      "generation-taken",
      `putting generation ${manifest.generation} of ${from} live`,
      "there is one of that number already",
    );
  }
  act.makeFolder(arriving);
  const live = liveGeneration(probe, from);
  const files = new Map(live?.manifest.files.map((one) => [one.path, one]));
  const last = live && { folder: generationPlace(probe.home, from, live.generation), files };
  // all data is here by now: the disk takes it while the hashes are taken
  const flushed = flush(act, arriving);
  flushed.catch(() => undefined);
  const verified = await verifyArrived(context, arriving, manifest, last);
  // a model's name is believed from the moment that it is there: until then its bytes are on the disk
  await flushed;
  const bad = await placeModels(
    context,
    (sha256) => arrivingModel(probe.home, from, sha256),
    request.models,
    arrivingHashes(probe, from),
  );
  if (!verified.whole || bad.length > 0) {
    return { done: false, again: verified.whole ? [] : verified.again, models: bad };
  }
  makeLinks(context, arriving, manifest.links);
  const text = JSON.stringify(manifest);
  act.write(join(arriving, MANIFEST), text);
  const noteAt = agreedPlace(probe.home, probe.host, from);
  const links = LINKED.filter((one) => mayLink(context, one, from, arriving));
  const record: CommitRecord = {
    schema: 1,
    previous: live?.generation ?? null,
    changes: request.changes,
    agreed: probe.text(noteAt) ?? null,
    // as they are found here: what the peer says of them would be a way to any program that is still kept
    release: request.release && {
      was: programOf(probe, join(probe.home, "bin")),
      now: programOf(probe, join(arriving, releaseFolder(probe.host))),
      newest: readMark(probe, from).newest ?? null,
    },
    links: links.map((one) => join(one, from)),
    folders: missingFolders(context, [
      ...request.changes.map((one) => one.path),
      ...links.map((one) => join(one, from)),
      noteAt.slice(probe.home.length + 1),
    ]),
  };
  writeRecord(context, from, manifest.generation, record);
  act.rename(arriving, folder);
  act.link(inHome.mirror(probe.home, from, "current"), manifest.generation);
  for (const one of links) linkIn(context, one, from);
  const left: string[] = [];
  const agreed: Record<string, string> = { ...request.agreed };
  const before = agreedWith(probe, from);
  const failed = (path: string, why: string) => {
    left.push(why);
    delete agreed[path];
    if (before[path] !== undefined) agreed[path] = before[path];
  };
  for (const change of request.changes) {
    const kept = keptFile(probe.home, from, manifest.generation, change.path);
    const why = await applyChange(context, change, folder, kept);
    if (why !== undefined) failed(change.path, why);
  }
  const programs =
    request.release === null
      ? undefined
      : await placeRelease(
          context,
          trust,
          join(folder, releaseFolder(probe.host)),
          request.release.was,
        );
  if (programs !== undefined) {
    failed(releaseKey(probe.host), programs.why);
    writeRecord(context, from, manifest.generation, { ...record, release: null });
  }
  act.makeFolder(dirname(noteAt));
  act.write(noteAt, agreedText(agreed));
  prune(context, from, request.keep);
  remember(context, from, folder, manifest);
  return {
    done: true,
    digest: digestOf(text),
    left,
    programs: programs?.why ?? null,
    older: programs?.older === true,
  };
}

/** A peer writes what is its own, and what is shared, and nothing else. */
function refuseForeign(
  manifest: Manifest,
  { changes }: CommitRequest,
  from: HostName,
  host: HostName,
): void {
  const refuse = (why: string) =>
    new ShelterError("request-refused", `a generation of ${from}`, why);
  if (manifest.from !== from) throw refuse(`${from} may not speak for ${manifest.from}`);
  const seen = new Set<string>();
  for (const { path } of [...manifest.files, ...manifest.links]) {
    if (!isMirrored(path, from, host)) throw refuse(`${path} is not ${from}'s to write`);
    if (seen.has(path)) throw refuse(`${path} is named twice`);
    seen.add(path);
  }
  for (const { path, target } of manifest.links) {
    if (!isShared(path) || !staysInside(path, target)) throw refuse(`${path} would lead out`);
  }
  const links = new Set(manifest.links.map((one) => one.path));
  const brought = changes.filter((one) => one.now !== null);
  for (const { path } of [...manifest.files, ...manifest.links, ...brought]) {
    const link = foldersOn(path).find((one) => links.has(one));
    if (link !== undefined) throw refuse(`${path} would lead through its link ${link}`);
  }
  const foreign = changes.find((one) => !isShared(one.path));
  if (foreign) throw refuse(`${foreign.path} has one writer, and it is not ${from}`);
}

/** True where the peer's folder is to be linked in: the generation has it, and nothing of somebody else's has its name. */
function mayLink({ probe }: CallContext, top: string, from: HostName, arriving: string): boolean {
  if (probe.stat(join(arriving, top, from))?.kind !== "dir") return false;
  const there = probe.stat(join(probe.home, top, from));
  return there === undefined;
}

/** `status/<peer>` and so on lead into the live generation, said relative to themselves, so that a home can be moved. */
function linkIn({ probe, act }: CallContext, top: string, from: HostName): void {
  const up = top.split("/").map(() => "..");
  act.makeFolder(join(probe.home, top));
  act.link(
    join(probe.home, top, from),
    join(...up, "runtime", "mirror", from, "current", top, from),
  );
}

/** What arrived and was not named goes. Generations beyond `keep` go, but never the one before the live one, which an undo goes back to; also arrivals that were given up. */
function prune({ probe, act }: CallContext, from: HostName, keep: number): void {
  act.remove(inHome.mirror(probe.home, from, MODELS));
  const all = generations(probe, from);
  for (const one of all.slice(0, Math.max(0, all.length - Math.max(2, keep)))) {
    act.remove(generationPlace(probe.home, from, one));
    act.remove(keptPlace(probe.home, from, one));
  }
  for (const name of probe.list(inHome.mirror(probe.home, from))) {
    const number = name.endsWith(ARRIVING) ? name.slice(0, -ARRIVING.length) : "";
    if (GENERATION.test(number)) act.remove(inHome.mirror(probe.home, from, name));
  }
}

/** The hashes were taken a moment ago; keys are noted last, because giving and taking names changes a file's times. */
function remember(context: CallContext, from: HostName, folder: string, manifest: Manifest): void {
  const hashes = arrivedHashes(context.probe, from, folder);
  for (const { path, sha256 } of manifest.files) {
    const entry = context.probe.stat(join(folder, path));
    if (entry) hashes.note(path, keyOf(entry), sha256);
  }
  hashes.save(context.act);
}
