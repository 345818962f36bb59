/** A greedy answer that another engine goes on with is read there as it was said: a favour, bounded, and never in the answer's way. */
import { expect, test } from "bun:test";
import { kitchenOf, streamOf } from "../support/gateway_kitchen.ts";
import { scriptedEngine, streamText, type Script } from "../support/scripted_engine.ts";

const CHAT = { messages: [{ role: "user", content: "Go" }], temperature: 0 };

test("a greedy answer is read as it was said before it goes on, a sampled one at one go", async () => {
  const one: Script = { tokens: Array.from({ length: 100 }, (_, at) => ` word${at}`) };
  const length = Buffer.byteLength(streamText(one, CHAT));
  for (const temperature of [0, 0.8]) {
    const body = { ...CHAT, temperature, max_tokens: 400 };
    const [first, second] = [
      scriptedEngine(one, [{ cutAt: Math.floor(length * 0.9) }]),
      scriptedEngine(one),
    ];
    const kitchen = kitchenOf([first, second]);
    const seen = await streamOf(kitchen, "chat", body);
    kitchen.stop();
    expect(seen.text).toBe(one.tokens.join(""));
    const wanted = second.asked.map((asked) => asked.body["max_tokens"]);
    const texts = second.asked.map((asked) => {
      const last = (asked.body["messages"] as readonly Record<string, string>[]).at(-1);
      return last?.["role"] === "assistant" ? (last["content"] ?? "") : "";
    });
    expect(wanted.at(-1)).toBeGreaterThan(0);
    if (temperature > 0) expect(wanted).toHaveLength(1);
    else {
      expect(wanted.slice(0, -1)).toEqual([0, 0, 0]);
      expect(texts[0]).toBe("");
      for (const [at, text] of texts.entries()) {
        expect(texts[at + 1] ?? seen.text).toStartWith(text);
        if (at > 0) expect(text.length).toBeGreaterThan(texts[at - 1]?.length ?? 0);
      }
    }
  }
});

test("an engine whose places others take between two steps still goes on, and is shown the steps once", async () => {
  const one: Script = { tokens: Array.from({ length: 100 }, (_, at) => ` word${at}`) };
  const length = Buffer.byteLength(streamText(one, CHAT));
  const busy = {
    reply: () => new Response("{}", { status: 429, headers: { "retry-after": "0.1" } }),
  };
  const second = scriptedEngine(one, [{}, busy, busy]);
  const kitchen = kitchenOf([scriptedEngine(one, [{ cutAt: Math.floor(length * 0.9) }]), second]);
  const seen = await streamOf(kitchen, "chat", { ...CHAT, max_tokens: 400 });
  kitchen.stop();
  expect(seen.text).toBe(one.tokens.join(""));
  // a step, a refused one, the refused answer, the answer
  expect(second.asked.map((asked) => asked.body["max_tokens"] === 0)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("a step without end, an answer that is too long and one that may not be kept are not waited for", async () => {
  const one: Script = { tokens: Array.from({ length: 100 }, (_, at) => ` word${at}`) };
  const length = Buffer.byteLength(streamText(one, CHAT));
  const endless = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (into) => into.enqueue(Buffer.from(": nothing\n\n".repeat(10_000))),
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
  for (const [body, given, steps] of [
    [CHAT, [{ reply: endless }], 1],
    [{ ...CHAT, cache_prompt: false }, [], 0],
  ] as const) {
    const second = scriptedEngine(one, given);
    const kitchen = kitchenOf([scriptedEngine(one, [{ cutAt: Math.floor(length * 0.9) }]), second]);
    const seen = await streamOf(kitchen, "chat", { ...body, max_tokens: 400 });
    kitchen.stop();
    expect(seen.text).toBe(one.tokens.join(""));
    expect(
      second.asked.map((asked) => asked.body["max_tokens"]).filter((n) => n === 0),
    ).toHaveLength(steps);
  }
});

test("a request that is too large to be sent as often goes on at one go", async () => {
  const one: Script = { tokens: Array.from({ length: 100 }, (_, at) => ` word${at}`) };
  const length = Buffer.byteLength(streamText(one, CHAT));
  const second = scriptedEngine(one);
  const kitchen = kitchenOf([scriptedEngine(one, [{ cutAt: Math.floor(length * 0.9) }]), second]);
  const messages = [{ role: "user", content: "Go ".repeat(100_000) }];
  const seen = await streamOf(kitchen, "chat", { ...CHAT, messages, max_tokens: 400 });
  kitchen.stop();
  expect(seen.text).toBe(one.tokens.join(""));
  expect(second.asked).toHaveLength(1);
});

test("engines that are always busy are waited for as long as anybody may wait, and no longer", async () => {
  const busy = {
    reply: () => new Response("{}", { status: 429, headers: { "retry-after": "0.05" } }),
  };
  const engine = scriptedEngine(
    { tokens: [" never"] },
    Array.from({ length: 200 }, () => busy),
  );
  const kitchen = kitchenOf([engine], { limits: { queueTime: 300 } });
  const leave = AbortSignal.timeout(4000);
  const { error } = await streamOf(kitchen, "chat", CHAT, leave);
  kitchen.stop();
  expect(error).toMatchObject({ status: 503, code: "queue_timeout" });
  expect(engine.asked.length).toBeLessThan(20);
});
