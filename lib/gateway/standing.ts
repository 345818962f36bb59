/** Whether an engine may be given answers: condemned at once, believed again only after it has kept calm. Pure; times are milliseconds. */

/** What the gateway thinks of one engine. */
export interface Standing {
  readonly state: "unknown" | "up" | "down";
  /** Why it is down. */
  readonly why?: string;
  /** Since when it is in this state. */
  readonly since: number;
  /** Since when it answers again without a fault, while it is down. */
  readonly calmSince?: number;
  /** When it was condemned lately, the newest last. */
  readonly falls: readonly number[];
}

/** How long an engine must have been calm before answers go back to it, after its first fall. Doubled with each further one. */
export const CALM = 3000;
/** The longest that is asked of it. */
export const CALM_MOST = 120_000;
/** Falls that are older count no more. */
export const MEMORY = 600_000;

/** An engine of which nothing was seen yet. */
export function unknown(now: number): Standing {
  return { state: "unknown", since: now, falls: [] };
}

/** It failed: no answer goes to it until it has recovered. A failure while it is down starts the calm anew, and counts as no further fall. */
export function condemned(standing: Standing, why: string, now: number): Standing {
  const { state, since, falls } = standing;
  const recent = falls.filter((at) => now - at < MEMORY);
  if (state === "down") return { state, why, since, falls: recent };
  return { state: "down", why, since: now, falls: state === "up" ? [...recent, now] : recent };
}

/** It answered a real question. `alone` says that no other engine could answer: then waiting would help nobody. */
export function proven(standing: Standing, now: number, alone: boolean): Standing {
  if (standing.state === "up") return standing;
  const falls = standing.falls.filter((at) => now - at < MEMORY);
  const calmSince = standing.calmSince ?? now;
  if (standing.state === "unknown" || alone || now - calmSince >= calm(falls.length)) {
    return { state: "up", since: now, falls };
  }
  return { ...standing, calmSince, falls };
}

/** How long it must be calm after so many falls. */
export function calm(falls: number): number {
  return Math.min(CALM_MOST, CALM * 2 ** Math.max(0, falls - 1));
}
