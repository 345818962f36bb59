/**
 * Warming: while one engine answers, the next one reads the same prompt, so that it can go on at once when the first fails.
 * It costs that engine the reading of each prompt, so the operator has to ask for it.
 */
import { readingBody, type Ask } from "./ask.ts";
import type { Engine } from "./engine.ts";
import { sameModel, type Wanted } from "./mapping.ts";
import type { Pool } from "./pool.ts";

/**
 * Lets the next engine of the same model read the prompt, where half of its places are free. Ends with `signal`, or when it is read.
 * Nothing comes of a failure: it was only a favour.
 */
export async function warm(
  pool: Pool,
  ask: Ask,
  wanted: Wanted,
  speaker: Engine,
  signal: AbortSignal,
): Promise<void> {
  const next = pool.engines.find(
    (one) =>
      one !== speaker &&
      one.free &&
      one.taken * 2 <= one.config.slots &&
      sameModel(wanted, speaker.name, one.name),
  );
  if (!next) return;
  const place = next.take();
  const path = ask.kind === "chat" ? "/v1/chat/completions" : "/v1/completions";
  try {
    const response = await next.dial(next.config.url + path, {
      method: "POST",
      headers: next.headers(),
      body: JSON.stringify(readingBody(ask, wanted.at(next.name)?.name)),
      signal,
    });
    let size = 0;
    for await (const bytes of (response.body ?? []) as unknown as AsyncIterable<Uint8Array>) {
      size += bytes.length;
      if (size > MOST) break;
    }
  } catch {
    // the engine's own monitor judges it
  } finally {
    place.giveBack();
  }
}

/** Bytes of an answer without tokens, progress included. */
const MOST = 1024 * 1024;
