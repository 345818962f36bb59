/** Bounds of everything that comes from outside, with what they are by default. Times are milliseconds, sizes bytes. */

/** Bounds that the operator may set in the gateway's document. */
export interface Limits {
  /** Largest request: long prompts with pictures fit, a flood doesn't. */
  readonly body: number;
  /** Requests that may wait for an engine, over all models. */
  readonly queue: number;
  /** Longest wait for a place at an engine. */
  readonly queueTime: number;
  /** Longest wait for any engine to come back, for an answer that has begun or not. */
  readonly outageTime: number;
  readonly connections: number;
  /** Most attempts for one answer, the first included. */
  readonly attempts: number;
}

/** What holds where the document says nothing. */
export const DEFAULT_LIMITS: Limits = {
  body: 16 * 1024 * 1024,
  queue: 128,
  queueTime: 300_000,
  outageTime: 20_000,
  connections: 256,
  attempts: 8,
};

/** Largest single event of an engine's stream: a logprobs event of 20 candidates is a few kilobytes. */
export const EVENT_LIMIT = 1024 * 1024;
/** Largest answer in characters, all channels together: 100,000 tokens are about 400,000. */
export const ANSWER_LIMIT = 16 * 1024 * 1024;
/** Largest body of an embedding answer or an engine's refusal. */
export const WHOLE_LIMIT = 64 * 1024 * 1024;
/** Events of one answer: a token each, and no context is as long. What is remembered of each is 50 to 500 bytes (measured, Bun 1.4.4). */
export const ANSWER_EVENTS = 262_144;
/** Characters of an answer's events, as the engine sent them, where the answer is collected: 100,000 tokens with timings are about 60 million. */
export const KEPT_LIMIT = 64 * 1024 * 1024;
/** Events that may follow each other without a character of answer: prompt progress is one for each batch. */
export const IDLE_EVENTS = 5000;

/** What the settings of an operator may be: [least, most]. */
const RANGES: Readonly<Record<keyof Limits, readonly [number, number]>> = {
  body: [1024, 256 * 1024 * 1024],
  queue: [0, 10_000],
  queueTime: [100, 3_600_000],
  outageTime: [0, 600_000],
  connections: [1, 4096],
  attempts: [1, 100],
};

/** Limits from the gateway's document; what it leaves out is as by default. A wrong one is named in `wrong`. */
export function parseLimits(
  value: unknown,
): { readonly limits: Limits } | { readonly wrong: string } {
  if (value === undefined) return { limits: DEFAULT_LIMITS };
  if (typeof value !== "object" || value === null) return { wrong: "limits is not a mapping" };
  const limits: Record<keyof Limits, number> = { ...DEFAULT_LIMITS };
  for (const [key, one] of Object.entries(value)) {
    const range = RANGES[key as keyof Limits] as readonly [number, number] | undefined;
    if (!range) return { wrong: `limits.${key} is not a limit` };
    if (!Number.isInteger(one) || (one as number) < range[0] || (one as number) > range[1]) {
      return { wrong: `limits.${key} is not a whole number from ${range[0]} to ${range[1]}` };
    }
    limits[key as keyof Limits] = one as number;
  }
  return { limits };
}
