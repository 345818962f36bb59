/** Sending a model to a paired host: by its hash alone, and only what was proven of this very file. */
import { storedFiles } from "../llm/store.ts";
import type { PeerRequest } from "./request.ts";
import { contextOf } from "./request.ts";
import { refused } from "./words.ts";

/** Bytes at a time. */
const PIECE = 1024 * 1024;

/** Verb "model <sha256> <offset>": the file's bytes from there on. */
export async function sendModel(request: PeerRequest, words: readonly string[]): Promise<number> {
  const [sha256 = "", offset = "0"] = words;
  if (!/^[0-9a-f]{64}$/.test(sha256) || !/^\d{1,15}$/.test(offset)) {
    throw refused("it names no model");
  }
  const { probe } = contextOf(request);
  const file = storedFiles(probe).find((one) => one.sha256 === sha256 && one.proof);
  if (!file) throw refused("there is no such model here, or none that was proven");
  for (let at = Number(offset); at < file.bytes;) {
    const piece = probe.bytes(file.path, at, Math.min(PIECE, file.bytes - at));
    if (piece.byteLength === 0) break; // it shrank: who asked will see it by size and hash
    await request.send(piece);
    at += piece.byteLength;
  }
  return 0;
}
