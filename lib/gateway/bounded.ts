/** Reading whole answers of engines, none larger than agreed. */
import { StreamFault } from "./sse.ts";

/** Bytes of an engine's refusal or of a single token's answer. */
export const engineBodyLimit = 1024 * 1024;

/** The text of a response. @throws StreamFault "oversized" above `limit` bytes, "malformed" where it is no UTF-8 */
export async function readBounded(response: Response, limit: number): Promise<string> {
  if (!response.body) return "";
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += piece.length;
    // leaving the loop gives the rest of the stream up
    if (size > limit) throw new StreamFault("oversized", "the engine's answer is too large");
    pieces.push(piece);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(pieces));
  } catch {
    throw new StreamFault("malformed", "the engine's answer is no UTF-8");
  }
}
