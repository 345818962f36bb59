/**
 * Reading what was said so far in the steps in which it was said. An engine adds up a long run of tokens in another order than single ones (llama.cpp v0.5.0 on
 * the CPU: from 64 on in tiles, ggml-cpu/ops.cpp, flash_attn_ext), so that an answer that is read back at one go may end in other words where two are nearly
 * equally likely. Read in short steps, each kept for the next, the sums are those of the engine that said it.
 */
import { readingBody, type Ask, type Said } from "./ask.ts";
import type { Engine, OpenStream } from "./engine.ts";
import { exchange } from "./exchange.ts";
import { StreamFault } from "./sse.ts";

/** Tokens of a step: half of what the engine adds up as single ones, because texts are cut by their length and tokens differ in theirs. */
const STEP = 32;
/** Steps that are worth their time: beyond a context of 512 tokens an engine that answers alone adds up otherwise anyway. */
const MOST_STEPS = 16;
/** Bytes of a request that is sent as often. */
const LARGEST = 256 * 1024;
/** Bytes of an answer without tokens, progress included. */
const LONGEST = 1024 * 1024;

/** What is read before the answer goes on: nothing of it, then more and more, never all of it. None where it is too long. */
export function readingSteps(said: Said): readonly Said[] {
  const all = said.reasoning.length + said.content.length;
  const steps = Math.max(1, Math.min(Math.ceil(said.tokens / STEP), all));
  if (steps > MOST_STEPS) return [];
  return Array.from({ length: steps }, (_, step) => {
    const upTo = Math.floor((all * step) / steps);
    const reasoning = wholeCharacters(said.reasoning, upTo);
    const content = wholeCharacters(said.content, Math.max(0, upTo - said.reasoning.length));
    return { reasoning, content, tokens: Math.floor((said.tokens * step) / steps) };
  });
}

/** The first `length` units of a text, without half of a pair of surrogates. */
function wholeCharacters(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

/**
 * Lets an engine read an answer's beginning as it was said, where it matters: a greedy answer has one right continuation. It is a favour: whatever goes wrong
 * ends it, and the answer's own request meets it again and judges it.
 * @throws only the reason of `signal`
 */
export async function readAsSaid(
  engine: Engine,
  path: string,
  ask: Ask,
  model: string | undefined,
  said: Said,
  signal: AbortSignal,
): Promise<void> {
  if (!ask.greedy || ask.body["cache_prompt"] === false) return;
  try {
    for (const part of readingSteps(said)) {
      const body = JSON.stringify(readingBody(ask, model, part));
      if (body.length > LARGEST) return;
      for await (const _ of exchange(engine, { path, body, signal }, (response, stream) =>
        readToEnd(engine, response, stream),
      )) {
        signal.throwIfAborted();
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof StreamFault)) throw error;
  }
}

/** The sizes of what comes, to its end. */
async function* readToEnd(
  engine: Engine,
  response: Response,
  stream: OpenStream,
): AsyncGenerator<number, void> {
  if (response.status !== 200) throw new StreamFault("gave-up", `HTTP ${response.status}`);
  let size = 0;
  for await (const bytes of (response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
    engine.heard(stream);
    size += bytes.length;
    if (size > LONGEST) throw new StreamFault("oversized", "an answer without tokens has no end");
    yield size;
  }
}
