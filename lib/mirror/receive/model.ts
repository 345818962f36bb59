/** A model on its way in: one stream, hashed as it is written, and gone on with where an earlier try was cut off. */
import { dirname } from "node:path";
import { ShelterError } from "../../errors.ts";
import { refused } from "../../peer/words.ts";
import type { Probe } from "../../machine/probe.ts";
import type { CallContext, HostName } from "../../unit.ts";
import { inHome } from "../../keep/home.ts";
import { Hashes, RACY } from "../hashes.ts";
import { MODELS } from "../rsync_words.ts";
import { keyOf } from "../scan.ts";
import { WIRE } from "../wire.ts";
import { withArrivalLock } from "./arrival_lock.ts";
import { arrivingModel } from "./models.ts";
import type { MirrorRequest } from "./serve.ts";

/** Milliseconds without a byte after which a sender is given up: less than the next run waits for the lock. */
const PATIENCE = 30_000;

/** Bytes of the disk that stay free: a journal, a status and a lock must always find room. */
const SPARED = 1024 ** 3;
/** Models that may wait for a commit. */
const MOST_AT_ONCE = 64;

/** What was hashed while it arrived, so that the commit need not read it again. */
export function arrivingHashes(probe: Probe, from: HostName): Hashes {
  const hashes = new Hashes(probe, `arriving-${from}`, inHome.mirror(probe.home, from, MODELS));
  for (const name of probe.list(inHome.mirror(probe.home, from, MODELS))) {
    const entry = probe.stat(arrivingModel(probe.home, from, name));
    if (entry) hashes.remembered(name, keyOf(entry));
  }
  return hashes;
}

/** Bytes of a model that came in earlier tries. */
export function arrivedBytes({ probe }: CallContext, from: HostName, sha256: string): number {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw refused("a model is named by its hash");
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
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw refused("a model is named by its hash");
  if (!/^\d{1,15}$/.test(most) || !/^\d{1,15}$/.test(at)) throw refused("that is no size");
  const path = arrivingModel(probe.home, from, sha256);
  const space = probe.space(probe.home);
  if (space && Number(most) - arrivedBytes(context, from, sha256) > space.free - SPARED) {
    throw new ShelterError(
      "disk-too-small",
      `taking model ${sha256.slice(0, 12)}`,
      `the disk is full: ${space.free} bytes are free, and ${SPARED} stay free`,
    );
  }
  if (probe.list(dirname(path)).filter((name) => name !== sha256).length >= MOST_AT_ONCE) {
    throw refused(`${MOST_AT_ONCE} models are arriving already, and none of them was put live`);
  }
  return withArrivalLock(context, from, "models", async () => {
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
