/** A model on its way in: one stream, hashed as it is written, and gone on with where an earlier try was cut off. */
import { dirname } from "node:path";
import { ShelterError } from "../../errors.ts";
import { refused } from "../../peer/words.ts";
import type { Probe } from "../../machine/probe.ts";
import type { CallContext, HostName } from "../../unit.ts";
import { inHome } from "../../keep/home.ts";
import { Hashes, RACY } from "../hashes.ts";
import { MODELS_AT_ONCE, SPARE } from "../places.ts";
import { MODELS } from "../rsync_words.ts";
import { keyOf } from "../scan.ts";
import { type PeerState, WIRE } from "../wire.ts";
import { withArrivalLock } from "./arrival_lock.ts";
import { arrivingModel } from "./models.ts";
import type { MirrorRequest } from "./serve.ts";

/** Milliseconds without a byte after which a sender is given up: less than the next run waits for the lock. */
const PATIENCE = 30_000;
const HASH = /^[0-9a-f]{64}$/;

/** What was hashed while it arrived, so that the commit need not read it again. */
export function arrivingHashes(probe: Probe, from: HostName): Hashes {
  const hashes = new Hashes(probe, `arriving-${from}`, inHome.mirror(probe.home, from, MODELS));
  for (const name of probe.list(inHome.mirror(probe.home, from, MODELS))) {
    const entry = probe.stat(arrivingModel(probe.home, from, name));
    if (entry) hashes.remembered(name, keyOf(entry));
  }
  return hashes;
}

/** What came of models in earlier tries and waits for more, or for a commit. */
export function arriving(probe: Probe, from: HostName): PeerState["arriving"] {
  return probe.list(inHome.mirror(probe.home, from, MODELS)).flatMap((sha256) => {
    const entry = probe.stat(arrivingModel(probe.home, from, sha256));
    const is = HASH.test(sha256) && entry?.kind === "file";
    return is ? [{ sha256, bytes: entry.size }] : [];
  });
}

/** Bytes of a model that came in earlier tries. */
export function arrivedBytes({ probe }: CallContext, from: HostName, sha256: string): number {
  if (!HASH.test(sha256)) throw refused("a model is named by its hash");
  const entry = probe.stat(arrivingModel(probe.home, from, sha256));
  return entry?.kind === "file" ? entry.size : 0;
}

/** "model <sha256> <bytes> <from>": takes the model's bytes from the byte `from` on out of the standard input. */
export async function takeModel(
  { context, trust, bytes, print }: MirrorRequest,
  [, sha256 = "", most = "", at = ""]: readonly string[],
): Promise<number> {
  const { probe, act } = context;
  const from = trust.name;
  if (!HASH.test(sha256)) throw refused("a model is named by its hash");
  if (!/^\d{1,15}$/.test(most) || !/^\d{1,15}$/.test(at)) throw refused("that is no size");
  const path = arrivingModel(probe.home, from, sha256);
  return withArrivalLock(context, from, "models", async () => {
    // under the lock: what arrives at the same moment counts
    const missing = Number(most) - arrivedBytes(context, from, sha256);
    const space = probe.space(probe.home);
    if (space && missing > 0 && missing > space.free - SPARE.model) {
      throw new ShelterError(
        "disk-too-small",
        `taking model ${sha256.slice(0, 12)}`,
        `the disk is full: ${space.free} bytes are free, and ${SPARE.model} stay free`,
      );
    }
    if (probe.list(dirname(path)).filter((name) => name !== sha256).length >= MODELS_AT_ONCE) {
      throw refused(`${MODELS_AT_ONCE} models are arriving already, and none of them was put live`);
    }
    act.makeFolder(dirname(path));
    const received = await act.receive(path, {
      from: Number(at),
      most: Number(most),
      bytes: bytes(),
      patience: PATIENCE,
      onBytes: (size) => print(JSON.stringify({ schema: WIRE, bytes: size })),
    });
    const entry = probe.stat(path);
    const hashes = arrivingHashes(probe, from);
    // a file that changed a moment ago may change again within the same tick: then the commit reads it
    await Bun.sleep(RACY);
    if (entry) hashes.note(sha256, keyOf(entry), received.sha256);
    hashes.save(act);
    print(JSON.stringify({ schema: WIRE, bytes: received.size }));
    return 0;
  });
}
