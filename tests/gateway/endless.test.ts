/** An engine that never stops: what is remembered of its answer has an end, whatever the answer is made of. */
import { expect, test } from "bun:test";
import { parseAsk } from "../../lib/gateway/ask.ts";
import { ANSWER_EVENTS, KEPT_LIMIT } from "../../lib/gateway/limits.ts";
import { parsePiece, type Piece } from "../../lib/gateway/piece.ts";
import { Splicer } from "../../lib/gateway/splice.ts";
import { Refusal } from "../../lib/gateway/errors.ts";

const CHAT = { messages: [{ role: "user", content: "Go" }] };

function pieceOf(choice: object): Piece {
  const choices = [{ index: 0, delta: { content: "a" }, finish_reason: null, ...choice }];
  const piece = parsePiece(JSON.stringify({ id: "x", created: 1, model: "m", choices }));
  if (piece === "done") throw new Error("it ended");
  return piece;
}

/** How many of one event are taken, up to `most`. */
function taken(body: object, piece: Piece, most: number): number {
  const splicer = new Splicer(parseAsk("chat", { ...CHAT, ...body }), undefined);
  for (let count = 0; count < most; count++) {
    try {
      splicer.take(piece);
    } catch (error) {
      // no engine's fault: none is condemned for it, and none asked again
      expect(error).toBeInstanceOf(Refusal);
      return count;
    }
  }
  return most;
}

const STRUCTURED = { response_format: { type: "json_object" } };
/** An event of a megabyte, most of it no text of the answer. */
const HEAVY_PROBS = { content: ["x".repeat(1_000_000)] };
const HEAVY = pieceOf({ logprobs: HEAVY_PROBS });

test("more events than any context has tokens are the sign of an answer without end", () => {
  for (const body of [{ stream: true }, { stream: true, ...STRUCTURED }, { stream: false }]) {
    expect(taken(body, pieceOf({}), 400_000)).toBe(ANSWER_EVENTS);
  }
});

test("what is collected before it is shown has a bound in all that it consists of; what is shown at once has none of that kind", () => {
  const most = Math.floor(KEPT_LIMIT / HEAVY.size);
  expect(taken({ stream: false }, HEAVY, 100)).toBe(most);
  expect(taken({ stream: true, ...STRUCTURED }, HEAVY, 100)).toBe(most);
  const call = [{ index: 0, id: "1", function: { name: "look", arguments: "{}" } }];
  const calling = pieceOf({ delta: { tool_calls: call }, logprobs: HEAVY_PROBS });
  expect(taken({ stream: true, tools: [{}] }, calling, 100)).toBeLessThanOrEqual(most);
  expect(taken({ stream: true, tools: [{}] }, HEAVY, 100)).toBe(100);
  expect(taken({ stream: true }, HEAVY, 100)).toBe(100);
});

test("a choice ends once, however often its engine says so", () => {
  const splicer = new Splicer(parseAsk("chat", { ...CHAT, stream: true }), undefined);
  for (let at = 0; at < 1000; at++) splicer.take(pieceOf({ finish_reason: "stop" }));
  const ends = splicer.end({ served_by: ["a"], carried_over: 0, started_anew: 0 });
  expect(ends).toHaveLength(1);
});
