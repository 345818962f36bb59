/** Asking an engine: events in any chunks, timings, refusals and answers that break off. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { complete, serverSentEvents, type Asked } from "../../lib/llm/complete.ts";

async function* inChunks(bytes: Uint8Array, cuts: readonly number[]) {
  let from = 0;
  for (const cut of [...cuts.map((one) => one % (bytes.length + 1)), bytes.length].sort(
    (a, b) => a - b,
  )) {
    if (cut > from) yield bytes.slice(from, cut);
    from = Math.max(from, cut);
  }
}
async function all(body: AsyncIterable<Uint8Array>) {
  const events: string[] = [];
  for await (const event of serverSentEvents(body)) events.push(event);
  return events;
}

/** Recorded from llama-server v0.5.0 (SmolLM2-135M-Instruct), shortened; speculation on. */
const RECORDED = [
  `{"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1795415589,"id":"chatcmpl-a","object":"chat.completion.chunk"}`,
  `{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"L'"}}],"created":1795415589,"id":"chatcmpl-a","object":"chat.completion.chunk"}`,
  `{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"É"}}],"created":1795415589,"id":"chatcmpl-a","object":"chat.completion.chunk"}`,
  `{"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1795415589,"id":"chatcmpl-a","object":"chat.completion.chunk"}`,
  `{"choices":[],"created":1795415589,"object":"chat.completion.chunk","usage":{"completion_tokens":5,"prompt_tokens":37,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":0}},"timings":{"cache_n":7,"prompt_n":30,"prompt_ms":115.869,"prompt_per_token_ms":3.13,"prompt_per_second":319.32,"predicted_n":5,"predicted_ms":42.891,"predicted_per_token_ms":10.7,"predicted_per_second":93.25,"draft_n":9,"draft_n_accepted":8}}`,
] as const;

function engine(body: string | Response): Asked & { readonly sent: unknown[] } {
  const sent: unknown[] = [];
  return {
    sent,
    post: (_, json) => {
      sent.push(json);
      return Promise.resolve(typeof body === "string" ? new Response(body) : body);
    },
  };
}
const asStream = (events: readonly string[]) => events.map((one) => `data: ${one}\n\n`).join("");
const REQUEST = { messages: [{ role: "user", content: "Hi" }], maxTokens: 5 } as const;

describe("server-sent events", () => {
  test("come out the same however the bytes are cut, with any line ends", async () => {
    const data = fc.string({ unit: "grapheme", minLength: 1 }).filter((one) => !/[\r\n]/.test(one));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(data, { minLength: 1, maxLength: 3 }), { maxLength: 6 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (events, end, cuts) => {
          const text = events
            .map(
              (lines) => `: ping${end}${lines.map((one) => `data: ${one}${end}`).join("")}${end}`,
            )
            .join("");
          // a last lone CR may be half of a CRLF, so that something has to follow it
          const bytes = new TextEncoder().encode(`${text}:${end}.`);
          expect(await all(inChunks(bytes, cuts))).toEqual(events.map((lines) => lines.join("\n")));
        },
      ),
      { numRuns: 300 },
    );
  });
  test("an event that never ended is none", async () => {
    expect(await all(inChunks(new TextEncoder().encode("data: half"), []))).toEqual([]);
  });
});

describe("a completion", () => {
  test("is folded from what a real engine streamed", async () => {
    const heard: string[] = [];
    const asked = engine(asStream([...RECORDED, "[DONE]"]));
    const got = await complete(asked, REQUEST, (text) => heard.push(text));
    expect(heard).toEqual(["L'", "É"]);
    expect(got).toMatchObject({
      text: "L'É",
      finish: "length",
      promptTokens: 30,
      cachedTokens: 7,
      promptPerSecond: 319.32,
      generatedTokens: 5,
      generatedPerSecond: 93.25,
      drafted: 9,
      accepted: 8,
    });
    expect(asked.sent).toEqual([
      expect.objectContaining({ stream: true, temperature: 0, max_tokens: 5 }),
    ]);
  });
  test("that breaks off is an error, not a short answer", async () => {
    const cut = complete(engine(asStream(RECORDED.slice(0, 3))), REQUEST);
    await expect(cut).rejects.toMatchObject({ id: "engine-cut" });
  });
  test("whose engine is gone, before a word or amid them, is the engine's failure and no bug of ours", async () => {
    const refused: Asked = { post: () => Promise.reject(new TypeError("ECONNREFUSED")) };
    await expect(complete(refused, REQUEST)).rejects.toMatchObject({ id: "engine-cut" });
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new TypeError("ECONNRESET"));
      },
    });
    const reset = complete(engine(new Response(broken)), REQUEST);
    await expect(reset).rejects.toMatchObject({
      id: "engine-cut",
      why: "its connection ended: ECONNRESET",
    });
    const left = new AbortController();
    left.abort(new Error("he left"));
    const gone: Asked = { post: () => Promise.reject(new TypeError("aborted")) };
    await expect(complete(gone, { ...REQUEST, signal: left.signal })).rejects.toThrow("he left");
  });
  test("that is refused says the engine's words", async () => {
    const body = JSON.stringify({
      error: { message: "the request exceeds the context", code: 400 },
    });
    const refused = complete(engine(new Response(body, { status: 400 })), REQUEST);
    await expect(refused).rejects.toMatchObject({
      id: "engine-refused",
      why: "HTTP 400, the request exceeds the context",
    });
  });
  test("with an error amid the stream is refused, too", async () => {
    const events = [RECORDED[1], `{"error":{"message":"out of memory"}}`];
    const broken = complete(engine(asStream(events)), REQUEST);
    await expect(broken).rejects.toMatchObject({ id: "engine-refused", why: "out of memory" });
  });
  test("of nonsense is an error of ours to name, never a crash", async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), async (value) => {
        const event = JSON.stringify(value) ?? "}{";
        try {
          const got = await complete(engine(asStream([event, "[DONE]"])), REQUEST);
          expect(Number.isFinite(got.generatedPerSecond)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ id: "engine-refused" });
        }
      }),
    );
  });
});
