/** Totals of an answer that several engines gave, reckoned as if there had been one. */
import type { Fields, Progress, Timings, Usage } from "./piece.ts";

/** What is known of one engine's part. */
export interface Part {
  /** Tokens of it that the client has. */
  readonly tokens: number;
  readonly usage?: Usage;
  readonly timings?: Timings;
  readonly progress?: Progress;
}

/**
 * Usage in OpenAI's shape. The prompt is the first engine's: what was carried over stands in the last one's prompt, and is counted as answer here.
 */
export function joinedUsage(before: readonly Part[], last: Part): Fields {
  const first = before[0];
  const counted = last.usage ?? fromTimings(last);
  const firstPrompt = first?.usage?.prompt ?? first?.progress?.total;
  const said = before.reduce((tokens, part) => tokens + part.tokens, 0);
  const prompt = first ? (firstPrompt ?? Math.max(0, counted.prompt - said)) : counted.prompt;
  const completion = first ? said + counted.completion : counted.completion;
  const cached = first ? (first.timings?.cached ?? 0) : counted.cached;
  return {
    completion_tokens: completion,
    prompt_tokens: prompt,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: Math.min(cached, prompt) },
  };
}

/** What an engine said along the way, where it failed before its totals. */
function fromTimings({ tokens, timings, progress }: Part): Usage {
  return {
    prompt: progress?.total ?? (timings ? timings.promptTokens + timings.cached : 0),
    cached: timings?.cached ?? 0,
    completion: tokens,
  };
}

/** llama-server's timings, summed over the engines; undefined where none gave any. */
export function joinedTimings(before: readonly Part[], last: Part): Fields | undefined {
  if (before.length === 0) return last.timings?.all;
  const known = [...before, last].flatMap(({ timings }) => timings ?? []);
  const first = known[0];
  if (!first) return undefined;
  const add = (of: (timings: Timings) => number) => known.reduce((all, one) => all + of(one), 0);
  const promptMs = add((one) => one.promptMs);
  const tokensMs = add((one) => one.tokensMs);
  const promptTokens = add((one) => one.promptTokens);
  const tokens = before.reduce((all, part) => all + part.tokens, 0) + (last.timings?.tokens ?? 0);
  const per = (count: number, milliseconds: number) => ({
    per_token_ms: count > 0 ? milliseconds / count : 0,
    per_second: milliseconds > 0 ? (count * 1000) / milliseconds : 0,
  });
  const [prompt, predicted] = [per(promptTokens, promptMs), per(tokens, tokensMs)];
  return {
    cache_n: first.cached,
    prompt_n: promptTokens,
    prompt_ms: promptMs,
    prompt_per_token_ms: prompt.per_token_ms,
    prompt_per_second: prompt.per_second,
    predicted_n: tokens,
    predicted_ms: tokensMs,
    predicted_per_token_ms: predicted.per_token_ms,
    predicted_per_second: predicted.per_second,
  };
}
