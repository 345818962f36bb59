/** Sending a generation: one connection, files and models side by side, files hashed here while they travel, all checked there before they go live. */
import { join } from "node:path";
import { IntegrityError, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { readTrust } from "../trust/store.ts";
import type { Trust } from "../trust/offer.ts";
import type { Call, CallContext, Json } from "../unit.ts";
import { backWord } from "./back_word.ts";
import { heldModels, homeHashes, modelHashes } from "./held.ts";
import type { Hashes } from "./hashes.ts";
import { scanFor } from "./own.ts";
import { rememberManifest } from "./remembered.ts";
import { ARRIVING } from "./rsync_words.ts";
import { type FoundFile, keyOf } from "./scan.ts";
import { sendFiles } from "./send.ts";
import { sendModel } from "./send_model.ts";
import { ask, connect, type Connection } from "./talk.ts";
import {
  type CommitReply,
  type CommitRequest,
  documentOf,
  type Listed,
  type Manifest,
  parseCommitReply,
  type SentModel,
  WIRE,
} from "./wire.ts";

/** Times that what did not arrive well is sent anew: files change while they travel, but not for ever. */
const TRIES = 4;

/** What the plan put into the step. */
interface PushArgs {
  readonly peer: string;
  readonly generation: string;
  readonly last: string | null;
  readonly with_release: boolean;
  readonly keep: number;
  readonly release: CommitRequest["release"];
  readonly changes: CommitRequest["changes"];
  readonly agreed: CommitRequest["agreed"];
  readonly models: readonly SentModel[];
  /** Bytes of each model that had arrived when the peer was asked; null where it did not say. */
  readonly arriving: Readonly<Record<string, number>> | null;
  readonly held_back: readonly Listed[];
  readonly refused: readonly string[];
}

/** Stands while nothing has gone live on the peer yet: a run that ended before has nothing to take back there. */
const sendingPlace = (home: string, peer: string) =>
  inHome.work(home, "mirror", `sending-${peer}.json`);

/** Sends a generation to a peer and has it put live. */
export const push: Call = async (context, args) => {
  const { probe, act } = context;
  const wanted = args as unknown as PushArgs;
  const trust = trustIn(context, wanted.peer);
  act.makeFolder(inHome.work(probe.home, "mirror"));
  act.write(
    sendingPlace(probe.home, trust.name),
    JSON.stringify({ generation: wanted.generation }),
  );
  const connection = await connect(context, trust);
  try {
    await pushThrough(context, trust, connection, wanted);
  } finally {
    connection.close();
  }
};

async function pushThrough(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  wanted: PushArgs,
): Promise<void> {
  const { probe, act, say, signal } = context;
  const place = `${wanted.generation}${ARRIVING}/`;
  const scanned = scanFor(probe, trust.name, wanted.with_release);
  const out = new Set([...wanted.held_back.map((one) => one.path), ...wanted.refused]);
  const files = scanned.files.filter((one) => !out.has(one.path));
  const hashes = homeHashes(probe);
  const models = modelHashes(probe);
  const send = (paths: readonly string[], anew: boolean) =>
    sendFiles(context, trust, connection, {
      from: probe.home,
      paths,
      to: place,
      last: anew ? null : wanted.last,
      anew,
      label: `files to ${trust.name}`,
    });
  const tree = send(
    files.map((one) => one.path),
    false,
  );
  tree.catch(() => undefined); // it is awaited below, also where hashing fails first
  heldModels(probe, models); // what is remembered of the others stays remembered
  const keys = new Map(wanted.models.map(({ sha256 }) => [sha256, modelKeyNow(probe, sha256)]));
  const travelling = sendModels(context, trust, connection, wanted.models, wanted.arriving);
  travelling.catch(() => undefined);
  let sent = wanted.models.filter(({ sha256 }) => keys.get(sha256) !== undefined);
  let listed = await listFiles(files, hashes, signal);
  await tree;
  await travelling;
  hashes.save(act);
  for (let turn = 1; ; turn++) {
    signal.throwIfAborted();
    const manifest: Manifest = {
      schema: WIRE,
      from: probe.host,
      generation: wanted.generation,
      files: [...listed, ...wanted.held_back],
      links: scanned.links,
    };
    const reply = await commitThere(context, trust, connection, wanted, manifest, sent);
    if (reply.done) {
      rememberManifest(probe, act, trust.name, manifest);
      for (const { sha256 } of sent) {
        const key = modelKeyNow(probe, sha256);
        if (key !== undefined && key === keys.get(sha256)) models.note(sha256, key, sha256);
      }
      models.save(act);
      for (const why of reply.left) say.line(`Not put live on ${trust.name}: ${why}`);
      if (reply.programs !== null) throw programsRefused(trust, reply.programs, reply.older);
      return;
    }
    if (turn >= TRIES) throw neverWhole(trust, [...reply.again, ...reply.models]);
    say.detail({ again: reply.again.length, models: reply.models.length, turn });
    const again = new Set(reply.again);
    const fresh = scanFor(probe, trust.name, wanted.with_release).files.filter(
      (one) => !out.has(one.path),
    );
    const now = new Map(fresh.map((one) => [one.path, one]));
    await send(
      reply.again.filter((path) => now.has(path)),
      true,
    );
    const others = listed.filter((one) => !again.has(one.path));
    const anew = fresh.filter((one) => again.has(one.path));
    listed = [...others, ...(await listFiles(anew, hashes, signal))];
    const back = await soundModels(
      context,
      models,
      sent.filter((one) => reply.models.includes(one.sha256)),
    );
    sent = sent.filter((one) => !reply.models.includes(one.sha256) || back.includes(one));
    await sendModels(context, trust, connection, back);
  }
}

/** Hashes files; one that is gone by now is left out. */
async function listFiles(
  files: readonly FoundFile[],
  hashes: Hashes,
  signal: AbortSignal,
): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (const { path, bytes, key, grows } of files) {
    try {
      const sha256 = await hashes.of(path, key, bytes, signal);
      listed.push({ path, bytes, sha256, ...(grows ? { grows } : {}) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return listed;
}

/**
 * Of models that did not arrive as their names say, those that are sound here. The peer hashes each that arrives and gives it no name unless it is right, so
 * this side reads them only then; what changed here since it was proven was read before the plan.
 */
async function soundModels(
  { probe, act, say, signal }: CallContext,
  hashes: Hashes,
  models: readonly SentModel[],
): Promise<readonly SentModel[]> {
  const sound: SentModel[] = [];
  for (const model of models) {
    signal.throwIfAborted();
    const is = await hashes.anew(model.sha256);
    if (is === model.sha256) sound.push(model);
    else if (is !== undefined)
      say.line(`${inHome.store(probe.home, model.sha256)} is damaged: it is not sent`);
  }
  hashes.save(act);
  return sound;
}

/** The key of a model's file as it is now; undefined where it is gone. */
function modelKeyNow(probe: Probe, sha256: string): string | undefined {
  const entry = probe.stat(inHome.store(probe.home, sha256));
  return entry && keyOf(entry);
}

async function sendModels(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  models: readonly SentModel[],
  arriving: PushArgs["arriving"] = null,
): Promise<void> {
  for (const model of models) {
    const came = arriving?.[model.sha256];
    await sendModel(context, trust, connection, model, came === undefined ? {} : { came });
  }
}

async function commitThere(
  { probe, act, signal }: CallContext,
  trust: Trust,
  connection: Connection,
  { changes, agreed, keep, release }: PushArgs,
  manifest: Manifest,
  models: readonly SentModel[],
): Promise<CommitReply> {
  const request: CommitRequest = { schema: WIRE, manifest, changes, agreed, models, keep, release };
  act.remove(sendingPlace(probe.home, trust.name)); // from here on it may be live
  const said = await ask(act, connection.argv, trust, ["commit"], {
    input: JSON.stringify(request),
    signal,
    reads: [...manifest.files, ...models].reduce((sum, one) => sum + one.bytes, 0),
  });
  return parseCommitReply(said, trust.name);
}

/** Takes a generation back on the peer. */
export const takeBack: Call = async (context, args) => {
  const { probe, act } = context;
  const { peer, generation, release } = args as unknown as PushArgs;
  const sending = sendingPlace(probe.home, peer);
  const said = probe.text(sending);
  if (said !== undefined) {
    act.remove(sending);
    if (said === JSON.stringify({ generation })) return; // nothing of it went live
  }
  const trust = trustIn(context, peer);
  const connection = await connect(context, trust);
  try {
    const input =
      release === null ? "" : await backWord(context, trust, connection.argv, generation);
    const answer = await ask(act, connection.argv, trust, ["back", generation], { input });
    const { left } = documentOf(answer, peer);
    if (!Array.isArray(left) || left.length === 0) return;
    throw new ShelterError(
      "mirror-left",
      `taking back what ${peer} got`,
      left.map(String).join("; "),
      ["./bin/05_rsync_mirror"],
    );
  } finally {
    connection.close();
  }
};

/** The trust of a peer that a step names. */
export function trustIn({ probe }: Pick<CallContext, "probe">, peer: Json | undefined): Trust {
  const name = typeof peer === "string" ? peer : "";
  const trust = name === "" ? undefined : readTrust(probe, name);
  if (trust) return trust;
  throw new ShelterError("not-paired", `mirroring to ${name}`, "this host is not paired with it", [
    "./bin/shelter",
    "pair",
    name,
  ]);
}

function programsRefused(trust: Trust, why: string, older: boolean): ShelterError {
  const what = `putting the programs that were built for ${trust.name} live there`;
  if (older)
    return new ShelterError("programs-older", what, why, ["./bin/05_rsync_mirror", "--plan"]);
  return new IntegrityError("programs-refused", what, why, ["./bin/shelter", "pair", trust.name]);
}

function neverWhole(trust: Trust, paths: readonly string[]): IntegrityError {
  const some = paths.slice(0, 5).join(", ");
  return new IntegrityError(
    "never-whole",
    `mirroring to ${trust.name}`,
    `${paths.length} files did not arrive as they were sent, ${TRIES} times over: ${some}`,
    ["./bin/05_rsync_mirror", "--verbose"],
  );
}

/** Where an arrival from a peer is put first. */
export function fetchPlace(home: string, sha256: string): string {
  return join(inHome.work(home, "mirror", "fetch"), sha256);
}
