/** What comes from a peer because the person or a damaged file asks for it: models, and the peer's version of a shared file. */
import { dirname, join } from "node:path";
import { IntegrityError, ShelterError } from "../errors.ts";
import type { Call } from "../unit.ts";
import { theirBytes } from "./conflicts.ts";
import { heldModels, modelHashes } from "./held.ts";
import { isShared, staysInside } from "./places.ts";
import { fetchPlace, trustIn } from "./push.ts";
import { placeModels } from "./receive/models.ts";
import { OFFERED } from "./rsync_words.ts";
import { fetchFile } from "./send.ts";
import { ask, connect } from "./talk.ts";
import { linkOnTheWay } from "./way.ts";

/** Brings a model from a peer; it gets its name only once its hash is right. What stood there damaged goes to quarantine. */
export const fetchModel: Call = async (context, args) => {
  const { probe, act } = context;
  const { sha256, bytes } = args;
  if (typeof sha256 !== "string" || typeof bytes !== "number")
    throw new Error("the step names no model");
  const trust = trustIn(context, args["peer"]);
  const to = fetchPlace(probe.home, sha256);
  act.makeFolder(dirname(to));
  // made by us, so that it is the owner's also where root runs rsync: the owner's next run may have to go on with it
  act.appendText(to, "");
  const connection = await connect(context, trust);
  try {
    await ask(act, connection.argv, trust, ["offer", sha256], { reads: bytes });
    await fetchFile(context, trust, connection, `${OFFERED}/${sha256}`, to, bytes);
  } finally {
    connection.close();
  }
  const bad = await placeModels(context, () => to, [{ sha256, bytes, names: [] }]);
  if (bad.length === 0) return;
  throw new IntegrityError(
    "hash-differs",
    `fetching model ${sha256.slice(0, 12)} from ${trust.name}`,
    "what arrived is not that model",
    ["./bin/05_rsync_mirror", "--host", trust.name, "--verify"],
  );
};

/** Notes models whose bytes are right although their files changed, so that they are not read again by each run. */
export const noteModels: Call = async ({ probe, act }, args) => {
  const { models } = args;
  if (!Array.isArray(models)) throw new Error("the step names no models");
  const hashes = modelHashes(probe);
  heldModels(probe, hashes); // what is remembered of the others stays remembered
  for (const one of models) if (typeof one === "string") await hashes.anew(one);
  hashes.save(act);
};

/** Takes the peer's version of a shared file. */
export const takeTheirs: Call = async (context, args) => {
  const { probe, act } = context;
  const { path, state } = args;
  if (typeof path !== "string" || typeof state !== "string")
    throw new Error("the step names no version");
  const trust = trustIn(context, args["peer"]);
  const to = join(probe.home, path);
  const refuse = (why: string) =>
    new ShelterError("version-refused", `taking ${trust.name}'s ${path}`, why);
  if (!isShared(path)) throw refuse("it is not shared");
  const link = linkOnTheWay(probe, probe.home, path);
  if (link !== undefined) throw refuse(`${link} is a link here: nothing is written through it`);
  if (state.startsWith("@")) {
    const target = state.slice(1);
    if (!staysInside(path, target)) throw refuse(`it is a link that would lead out, to ${target}`);
    act.makeFolder(dirname(to));
    act.link(to, target);
    return;
  }
  const bytes = await theirBytes(probe, act, trust, path, state);
  if (bytes === undefined) {
    throw new ShelterError(
      "version-absent",
      `taking ${trust.name}'s ${path}`,
      "it changed over there just now, or is too large to be told: have it mirrored first",
      ["./bin/05_rsync_mirror", "--host", trust.name],
    );
  }
  act.makeFolder(dirname(to));
  act.write(to, bytes, state.endsWith("x") ? 0o700 : 0o600);
};
