/** The gateway's state as a document: who serves, who waits, what was carried over. */
import type { GatewayConfig } from "./config.ts";
import type { Counts } from "./counts.ts";
import type { Fields } from "./piece.ts";
import type { Pool } from "./pool.ts";

/** The document at /shelter/status. Times are UTC ISO; nothing in it comes from a prompt or an answer. `outdated`: why the gateway's own document is an older one. */
export function statusOf(
  config: GatewayConfig,
  pool: Pool,
  counts: Counts,
  began: number,
  now: number,
  outdated?: string,
): Fields {
  const iso = (at: number) => new Date(at).toISOString();
  // engines go by a clock of their own
  const shift = now - pool.now();
  return {
    schema: 1,
    host: config.host,
    since: iso(began),
    at: iso(now),
    ...(outdated === undefined ? {} : { document: outdated }),
    serves: pool.engines.find((one) => one.up)?.name ?? null,
    engines: pool.engines.map((one) => ({
      name: one.name,
      kind: one.config.kind,
      state: one.standing.state,
      since: iso(one.standing.since + shift),
      ...(one.standing.why === undefined ? {} : { why: one.standing.why }),
      falls: one.standing.falls.length,
      answering: one.taken,
      slots: one.config.slots,
      models: one.models,
      ...(one.speed.prompt === undefined ? {} : { prompt_tokens_per_second: one.speed.prompt }),
      ...(one.speed.gap === undefined ? {} : { milliseconds_per_token: one.speed.gap }),
    })),
    queue: { waiting: pool.queue.length, bound: pool.limits.queue },
    counts: {
      asked: counts.asked,
      answered: counts.answered,
      left: counts.left,
      refused: counts.refused,
      carried_over: counts.carriedOver,
      started_anew: counts.startedAnew,
      faults: counts.faults,
      relayed: counts.relayed,
    },
  };
}
