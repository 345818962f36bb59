/** Models that arrived: each is hashed before it gets its name in the store, and takes the place of a damaged one. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import { proveModel } from "../../llm/prove.ts";
import { linkTarget, nameOf } from "../../llm/store.ts";
import type { Entry } from "../../machine/probe.ts";
import type { CallContext } from "../../unit.ts";
import type { Hashes } from "../hashes.ts";
import { heldModels, modelHashes } from "../held.ts";
import { MODELS } from "../rsync_words.ts";
import { keyOf } from "../scan.ts";
import type { SentModel } from "../wire.ts";

/** Where a model arrives from a peer. */
export function arrivingModel(home: string, from: string, sha256: string): string {
  return inHome.mirror(home, from, MODELS, sha256);
}

/**
 * Gives arrived models their place. What `known` holds of them was hashed as it was written, and is not read again while the file is the same.
 * @returns hashes of those that did not arrive as they should: what came of them is gone, so that they come anew.
 */
export async function placeModels(
  context: CallContext,
  arrived: (sha256: string) => string,
  models: readonly SentModel[],
  known?: Hashes,
): Promise<readonly string[]> {
  const { probe, act } = context;
  const bad: string[] = [];
  const hashes = modelHashes(probe);
  heldModels(probe, hashes); // what is remembered of the others stays remembered
  for (const { sha256, bytes, names } of models) {
    const from = arrived(sha256);
    const to = inHome.store(probe.home, sha256);
    const entry = probe.stat(from);
    const is = async (found: Entry) =>
      known?.remembered(sha256, keyOf(found)) ?? (await probe.sha256(from));
    if (entry?.kind === "file" && entry.size === bytes && (await is(entry)) === sha256) {
      act.chmod(from, 0o600);
      if (probe.me.root) act.setAttributes(from, { owner: probe.owner });
      await setAsideDamaged(context, sha256);
      act.makeFolder(inHome.store(probe.home));
      // first: killed between the two, a name that leads to nothing calls for the model again, and one that is there would never get its names
      giveNames(context, sha256, names);
      act.replaceWith(to, from);
      const placed = probe.stat(to);
      if (placed) hashes.note(sha256, keyOf(placed), sha256);
      await prove(context, sha256);
    } else if (probe.stat(to)?.size !== bytes) {
      act.remove(from);
      bad.push(sha256);
    }
  }
  hashes.save(act);
  return bad;
}

/** What is in the store under this hash and is not it goes to quarantine: never served, never deleted by us. */
async function setAsideDamaged({ probe, act, say }: CallContext, sha256: string): Promise<void> {
  const path = inHome.store(probe.home, sha256);
  if (probe.stat(path)?.kind !== "file") return;
  const is = await probe.sha256(path);
  if (is === sha256) return;
  const place = join(inHome.quarantine(probe.home), is);
  act.makeFolder(inHome.quarantine(probe.home));
  act.replaceWith(place, path);
  say.line(`${path} was damaged: it was moved to ${place}`);
}

/** A name that leads elsewhere here stays as it is: which model a name means is each host's own. */
function giveNames({ probe, act }: CallContext, sha256: string, names: readonly string[]) {
  for (const name of names) {
    const path = nameOf(probe.home, name);
    if (probe.stat(path) === undefined) act.link(path, linkTarget(sha256));
  }
}

/** The note by which it may be served at once. A file that is no sound model has none: 03_install_models says what is wrong with it. */
async function prove(context: CallContext, sha256: string): Promise<void> {
  try {
    await proveModel(context, { sha256, name: sha256.slice(0, 12), hashed: true });
  } catch (error) {
    context.say.detail({ unproven: sha256, why: String(error) });
  }
}
