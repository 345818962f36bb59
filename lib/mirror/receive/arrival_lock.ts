/** One writer at a time into what a peer sends. */
import { ShelterError } from "../../errors.ts";
import { takeLock } from "../../keep/lock.ts";
import type { HostName } from "../../unit.ts";
import { MIRROR } from "../places.ts";
import type { Hands } from "./verify.ts";

/** Milliseconds that a commit waits for another one, or for an rsync that is still ending: less than an rsync on the other end takes silence. */
const PATIENCE = 45_000;

/** Runs `work` while nothing else writes into what `from` sends; `name` tells the kinds of writers apart. */
export async function withArrivalLock<T>(
  { probe, act }: Hands,
  from: HostName,
  name: "tree" | "models",
  work: () => Promise<T>,
): Promise<T> {
  const lock = await takeLock(probe, act, `mirror-${from}-${name}`, {
    script: MIRROR,
    wait: PATIENCE,
  });
  if ("busy" in lock) {
    throw new ShelterError(
      "mirror-busy",
      `taking what ${from} sends`,
      `process ${lock.busy.pid} has been at it for ${Math.round(lock.age / 1000)} s`,
    );
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
