/** The governor amid serving: root set it to "performance" when the engine started, and what is changed since then is set again, a few times. Pure. */
import { mayAct, recent, waitAfter, WELL } from "./backoff.ts";
import type { Deed } from "./ladder.ts";
import type { HostLook } from "./look.ts";
import type { Watched } from "./memory.ts";
import type { Standing } from "./state.ts";

/** What the watcher remembers of it. */
export interface GovernorKept {
  /** Acts since it last was as it should be for ten minutes. */
  readonly tries: number;
  readonly acts: readonly Watched[];
  readonly notBefore: Watched;
  /** Since when the engine serves with another governor; undefined while it does not. */
  readonly slowSince?: Watched;
  /** Since when it has been as it should be. */
  readonly wellSince?: Watched;
}

/** Where nothing has been tried. */
const UNTRIED: GovernorKept = { tries: 0, acts: [], notBefore: 0 };

/** It must be another one for so long: what is seen is up to half a minute old, and an engine that restarts has it put back and set again. Milliseconds. */
export const SLOW_FOR = 60_000;

/** So often it is set again. Who changes it then once more does so on purpose, and is left to it. */
export const MOST_TRIES = 3;

/** The wait after an act begins where the ladder's third does: sooner nothing of it could be seen. */
const LATER = 3;

/** What one look leads to. */
export interface Governed {
  readonly kept: GovernorKept;
  readonly deed?: Deed;
  /** Setting it again does not last: it is left as it is. */
  readonly left: boolean;
}

/** Whether the engine serves with a governor that slows it down. On battery a slow clock is what the operator wants. */
export function isSlow({ governor, onBattery }: HostLook, engine: Standing): boolean {
  return (
    governor !== undefined && governor !== "performance" && engine === "up" && onBattery !== true
  );
}

/** One look. `busy`: nothing is judged yet, or an act on the engine is under way. `again`: the operator wants it tried anew, within the hour's bound. */
export function govern(
  before: GovernorKept | undefined,
  host: HostLook,
  engine: Standing,
  { now, busy, again }: { readonly now: Watched; readonly busy: boolean; readonly again: boolean },
): Governed {
  const known = again ? { ...UNTRIED, acts: before?.acts ?? [] } : (before ?? UNTRIED);
  const kept = timed(known, host, isSlow(host, engine), now);
  const { slowSince, tries, acts, notBefore } = kept;
  const slow = slowSince !== undefined && now - slowSince >= SLOW_FOR;
  if (!slow || now < notBefore) return { kept, left: false };
  if (tries >= MOST_TRIES) return { kept, left: true };
  if (busy || !mayAct(acts, now)) return { kept, left: false };
  const attempt = tries + 1;
  return {
    kept: {
      ...kept,
      tries: attempt,
      acts: [...recent(acts, now), now],
      notBefore: now + waitAfter(attempt + LATER),
    },
    deed: {
      target: "engine",
      rung: "governor",
      why: `it was changed to "${host.governor ?? ""}" while the engine serves`,
      attempt,
    },
    left: false,
  };
}

function timed(
  { slowSince, wellSince, ...kept }: GovernorKept,
  { governor }: HostLook,
  slow: boolean,
  now: Watched,
): GovernorKept {
  if (slow) return { ...kept, slowSince: slowSince ?? now };
  if (governor !== "performance") return kept;
  const since = wellSince ?? now;
  if (now - since < WELL) return { ...kept, wellSince: since };
  return { ...UNTRIED, acts: recent(kept.acts, now), wellSince: since };
}
