/**
 * Reading what was said so far in the steps in which it was said. An engine adds up a long run of tokens in another order than single ones (llama.cpp v0.5.0 on
 * the CPU: from 64 on in tiles, ggml-cpu/ops.cpp, flash_attn_ext), so that an answer that is read back at one go may end in other words where two are nearly
 * equally likely. Read in short steps, each kept for the next, the sums are those of the engine that said it.
 */
import { readingBody, type Ask, type Said } from "./ask.ts";
import type { Engine, OpenStream } from "./engine.ts";
import { exchange } from "./exchange.ts";

/** Tokens of a step: half of what the engine adds up as single ones, because texts are cut by their length and tokens differ in theirs. */
const STEP = 32;

/** What is read before the answer goes on: nothing of it, then more and more, never all of it. */
export function readingSteps(said: Said): readonly Said[] {
  const all = said.reasoning.length + said.content.length;
  const steps = Math.min(Math.ceil(said.tokens / STEP), all);
  return Array.from({ length: Math.max(1, steps) }, (_, step) => {
    const upTo = Math.floor((all * step) / Math.max(1, steps));
    const reasoning = wholeCharacters(said.reasoning, upTo);
    const content = wholeCharacters(said.content, Math.max(0, upTo - said.reasoning.length));
    return { reasoning, content, tokens: Math.floor((said.tokens * step) / Math.max(1, steps)) };
  });
}

/** The first `length` units of a text, without half of a pair of surrogates. */
function wholeCharacters(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

/**
 * Lets an engine read an answer's beginning as it was said, where it matters: a greedy answer has one right continuation.
 * @throws StreamFault or the reason of `signal`, as the answer itself would
 */
export async function readAsSaid(
  engine: Engine,
  path: string,
  ask: Ask,
  model: string | undefined,
  said: Said,
  read: (response: Response, stream: OpenStream) => AsyncGenerator<unknown, void>,
  signal: AbortSignal,
): Promise<void> {
  if (!ask.greedy) return;
  for (const part of readingSteps(said)) {
    const body = JSON.stringify(readingBody(ask, model, part));
    for await (const _ of exchange(engine, { path, body, signal }, read)) signal.throwIfAborted();
  }
}
