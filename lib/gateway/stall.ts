/** How long a stream may be silent before its engine counts as wedged: from the speed that the engine itself has shown. */
import type { Progress, Timings } from "./piece.ts";

/** What is known of an engine's speed, over its answers. Undefined until measured. */
export interface Speed {
  /** Prompt tokens per second. */
  readonly prompt?: number;
  /** Milliseconds between tokens of an answer. */
  readonly gap?: number;
}

/** What is known of one stream. */
export interface Flow {
  /** Bytes of the request. */
  readonly asked: number;
  /** The last word on the prompt; undefined before the engine has begun it. */
  readonly progress?: Progress;
  /** The longest wait between two of its events, in milliseconds, the first excepted. */
  readonly slowest: number;
  /** Whether the answer itself has begun. */
  readonly speaking: boolean;
}

/**
 * No stream is called stalled before this: a disk, a swap or a crowd on the cores may hold up any engine for so long. An engine that is dead or
 * frozen is found by its health much sooner; this is for one that is healthy and does nothing.
 */
export const LEAST = 8000;
/** No silence is borne longer than this, whatever was measured. */
export const MOST = 300_000;
/** How many times its own slowest step an engine may take. */
const FACTOR = 8;
/** Prompt tokens per second of a slow host with a large model: what is believed before anything was measured. */
const SLOW_PROMPT = 10;
/** Bytes of JSON for each token of a prompt, at least: English has about 4. */
const BYTES_PER_TOKEN = 3;

/** With nobody to carry an answer over to, ending its stream helps only where the engine is truly wedged: it gets this many times the patience. */
const ALONE = 4;

/** Milliseconds of silence that a stream may show; `crowd` is how many streams share the engine, itself included. */
export function patience(flow: Flow, speed: Speed, crowd = 1, alone = false): number {
  return Math.min(MOST, borne(flow, speed, crowd) * (alone ? ALONE : 1));
}

function borne(flow: Flow, speed: Speed, crowd: number): number {
  const steps = Math.max(flow.slowest, flow.speaking ? (speed.gap ?? 0) : 0) * FACTOR;
  if (flow.speaking) return clamp(steps);
  const left = flow.progress
    ? flow.progress.total - flow.progress.processed
    : flow.asked / BYTES_PER_TOKEN;
  const perSecond = speed.prompt ?? SLOW_PROMPT;
  // once two steps were seen, they say more than any estimate of the whole
  const whole = ((left * 1000) / perSecond) * 2 * crowd;
  return clamp(
    flow.slowest > 0 && flow.progress
      ? Math.min(Math.max(steps, LEAST), Math.max(whole, steps))
      : whole,
  );
}

function clamp(milliseconds: number): number {
  return Math.min(MOST, Math.max(LEAST, milliseconds));
}

/** Weight of the newest measurement. */
const NEW = 0.3;

/** The speed after one more answer. The slower of mean and newest counts, so that one lucky answer doesn't make the limit tight. */
export function learned(speed: Speed, timings: Timings | undefined): Speed {
  if (!timings) return speed;
  const { promptTokens, promptMs, tokens, tokensMs } = timings;
  // a few tokens say nothing: a cached prompt is one token and one whole step
  const prompt = promptTokens >= 32 && promptMs > 0 ? (promptTokens * 1000) / promptMs : undefined;
  const gap = tokens >= 8 ? tokensMs / tokens : undefined;
  const prompts = prompt === undefined ? speed.prompt : mix(speed.prompt, prompt, Math.min);
  const gaps = gap === undefined ? speed.gap : mix(speed.gap, gap, Math.max);
  return {
    ...(prompts === undefined ? {} : { prompt: prompts }),
    ...(gaps === undefined ? {} : { gap: gaps }),
  };
}

function mix(
  old: number | undefined,
  one: number,
  worse: (a: number, b: number) => number,
): number {
  return old === undefined ? one : worse(old * (1 - NEW) + one * NEW, one);
}
