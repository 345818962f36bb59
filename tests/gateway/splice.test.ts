/** The carried-over answer is the undisturbed one: whatever is cut, wherever, however its bytes arrive. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { choiceOf, kitchenOf, streamOf, wholeOf } from "../support/gateway_kitchen.ts";
import {
  scriptedEngine,
  streamText,
  type Script,
  type Trouble,
} from "../support/scripted_engine.ts";

const CHAT = {
  messages: [{ role: "user", content: "Go" }],
  temperature: 0,
  stream_options: { include_usage: true },
};

/** Tokens as real ones are: letters of one to four bytes, joined ones, spaces, line breaks, quotes, what looks like the stream itself. */
const token = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }),
  fc.constantFrom(
    " the",
    "\n",
    "\n\n",
    "data: ",
    "[DONE]",
    '"',
    "\\",
    "é",
    "漢字",
    "👩‍👩‍👧",
    "\u2028",
    "ha",
    "ha ha",
  ),
);
const tokens = fc.array(token, { minLength: 1, maxLength: 12 });
const script: fc.Arbitrary<Script> = fc.record({ tokens }, { requiredKeys: ["tokens"] });
const troubles = fc.array(
  fc.record<Trouble>({
    cutAt: fc.nat(9000),
    pieces: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 4 }),
  }),
  { minLength: 1, maxLength: 5 },
);

/** The engines' troubles in turn: an engine that fails is down, so the next stream is the other's; once both were down the first comes back. */
async function carried(
  kind: "chat" | "text",
  body: Record<string, unknown>,
  one: Script,
  list: readonly Trouble[],
) {
  const engines = list.map((trouble) => scriptedEngine(one, [trouble]));
  const kitchen = kitchenOf([...engines, scriptedEngine(one)], { limits: { attempts: 20 } });
  try {
    return { seen: await streamOf(kitchen, kind, body), kitchen };
  } finally {
    kitchen.stop();
  }
}

for (const kind of ["chat", "text"] as const) {
  const body = kind === "chat" ? CHAT : { prompt: "P:", temperature: 0 };
  test(`${kind}: any cuts at any bytes give the same text, once`, async () => {
    await fc.assert(
      fc.asyncProperty(script, troubles, async (one, list) => {
        const { seen } = await carried(kind, body, one, list);
        expect(seen.error).toBeUndefined();
        expect(seen.text).toBe(one.tokens.join(""));
        expect(new Set(seen.chunks.map((chunk) => chunk["id"])).size).toBe(1);
        expect(new Set(seen.chunks.map((chunk) => chunk["created"])).size).toBe(1);
        const ends = seen.chunks.filter((chunk) => choiceOf(chunk)?.["finish_reason"] != null);
        expect(ends.map((chunk) => choiceOf(chunk)?.["finish_reason"])).toEqual(["stop"]);
        if (kind === "chat") {
          const roles = seen.chunks.filter(
            (chunk) => (choiceOf(chunk)?.["delta"] as { role?: string } | undefined)?.role,
          );
          expect(roles).toHaveLength(1);
        }
      }),
      { numRuns: 300 },
    );
  });
}

test("every single byte of one stream: cut there, the text, the totals and the ending are the undisturbed ones", async () => {
  const one: Script = { tokens: ["Ein", " größ", "erer", " 漢", "字", " 👩‍👩‍👧", "."] };
  const length = Buffer.byteLength(streamText(one, { messages: [] }));
  const undisturbed = (await carried("chat", CHAT, one, [])).seen;
  for (let cutAt = 0; cutAt < length; cutAt++) {
    const { seen } = await carried("chat", CHAT, one, [{ cutAt }]);
    expect(seen.text).toBe(one.tokens.join(""));
    const usage = (chunks: typeof seen.chunks) => chunks.at(-1)?.["usage"];
    expect(usage(seen.chunks)).toEqual(usage(undisturbed.chunks));
  }
}, 120_000);

test("a whole answer is the fold of its stream, carried over or not", async () => {
  await fc.assert(
    fc.asyncProperty(script, fc.option(fc.nat(6000), { nil: undefined }), async (one, cutAt) => {
      const whole = async (list: readonly Trouble[]) => {
        const kitchen = kitchenOf([scriptedEngine(one, list), scriptedEngine(one)]);
        try {
          return await wholeOf(kitchen, "chat", CHAT);
        } finally {
          kitchen.stop();
        }
      };
      const answer = await whole(cutAt === undefined ? [] : [{ cutAt }]);
      expect(choiceOf(answer)).toEqual({
        finish_reason: "stop",
        index: 0,
        message: { role: "assistant", content: one.tokens.join("") },
      });
      expect(answer["usage"]).toEqual({
        completion_tokens: one.tokens.length,
        prompt_tokens: 10,
        total_tokens: 10 + one.tokens.length,
        prompt_tokens_details: { cached_tokens: 0 },
      });
    }),
    { numRuns: 200 },
  );
});

test("thinking is carried over like the answer", async () => {
  await fc.assert(
    fc.asyncProperty(tokens, tokens, troubles, async (thoughts, said, list) => {
      const { seen } = await carried("chat", CHAT, { tokens: said, thoughts }, list);
      expect(seen.error).toBeUndefined();
      expect(seen.reasoning).toBe(thoughts.join(""));
      expect(seen.text).toBe(said.join(""));
    }),
    { numRuns: 200 },
  );
});

test("the limit of tokens is that of the whole answer", async () => {
  const one: Script = { tokens: ["a", "b", "c", "d", "e", "f"] };
  for (const max of [1, 2, 3, 5, 6, 9]) {
    for (let cutAt = 500; cutAt < 4000; cutAt += 97) {
      const { seen } = await carried("chat", { ...CHAT, max_tokens: max }, one, [{ cutAt }]);
      expect(seen.text).toBe(one.tokens.slice(0, max).join(""));
      const ends = seen.chunks.flatMap((chunk) => choiceOf(chunk)?.["finish_reason"] ?? []);
      expect(ends).toEqual([
        max < 6 ? "length" : max === 6 ? expect.stringMatching(/^(stop|length)$/) : "stop",
      ]);
    }
  }
});

test("an engine that does not go on from what was said is not believed", async () => {
  const one: Script = { tokens: ["Paris", " is", " the", " capital"] };
  const cutAt = streamText(one, { messages: [] }).indexOf(" the");
  for (const echo of ["Paris was", "", "Pari", "paris is"]) {
    const kitchen = kitchenOf([
      scriptedEngine(one, [{ cutAt }]),
      scriptedEngine(one, [{ echo }, { echo }]),
    ]);
    const seen = await streamOf(kitchen, "chat", CHAT);
    kitchen.stop();
    expect(seen.text).toBe("Paris is");
    expect(seen.error).toMatchObject({ status: 502, code: "engines_failed" });
  }
});

test("tool calls are shown whole or not at all, and asked again", async () => {
  const one: Script = {
    tokens: ["Let", " me", " look"],
    calls: [
      { index: 0, id: "c1", type: "function", function: { name: "weather", arguments: "" } },
      { index: 0, function: { arguments: '{"city":' } },
      { index: 0, function: { arguments: '"Paris"}' } },
    ],
  };
  const body = { ...CHAT, tools: [{ type: "function", function: { name: "weather" } }] };
  const length = Buffer.byteLength(streamText(one, { messages: [] }));
  for (let cutAt = 0; cutAt < length; cutAt += 13) {
    const { seen } = await carried("chat", body, one, [{ cutAt }]);
    expect(seen.error).toBeUndefined();
    expect(seen.text).toBe("Let me look");
    const calls = seen.chunks.flatMap(
      (chunk) =>
        ((choiceOf(chunk)?.["delta"] as { tool_calls?: unknown[] } | undefined)?.tool_calls ??
          []) as { function: { arguments: string } }[],
    );
    expect(calls.map((call) => call.function.arguments).join("")).toBe('{"city":"Paris"}');
    expect(seen.chunks.flatMap((chunk) => choiceOf(chunk)?.["finish_reason"] ?? [])).toEqual([
      "tool_calls",
    ]);
  }
});

test("structured output is shown whole or not at all, and asked anew", async () => {
  const one: Script = { tokens: ['{"a"', ":", " 1", "}"] };
  const body = { ...CHAT, response_format: { type: "json_object" } };
  const length = Buffer.byteLength(streamText(one, { messages: [] }));
  for (let cutAt = 0; cutAt < length; cutAt += 13) {
    const second = scriptedEngine(one);
    const kitchen = kitchenOf([scriptedEngine(one, [{ cutAt }]), second]);
    const seen = await streamOf(kitchen, "chat", body);
    kitchen.stop();
    expect(seen.error).toBeUndefined();
    expect(seen.text).toBe('{"a": 1}');
    for (const asked of second.asked) expect(asked.body["messages"]).toEqual(CHAT.messages);
  }
});

const STAYS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["n > 1", { n: 2 }],
  ["logprobs", { logprobs: true }],
  ["a seed with sampling", { seed: 7, temperature: 0.8 }],
  ["mirostat", { mirostat: 2 }],
];
for (const [what, more] of STAYS) {
  test(`${what}: a stream says that it could not be carried over, a whole answer starts anew`, async () => {
    const one: Script = { tokens: ["one", " two", " three"] };
    const cutAt = streamText(one, { messages: [] }).indexOf(" three");
    const make = () => kitchenOf([scriptedEngine(one, [{ cutAt }]), scriptedEngine(one)]);
    const kitchen = make();
    const seen = await streamOf(kitchen, "chat", { ...CHAT, ...more });
    kitchen.stop();
    expect(seen.text).toBe("one two");
    expect(seen.error).toMatchObject({ code: "not_carried_over" });
    if (what === "n > 1") return; // the scripted engine gives one
    const again = make();
    const whole = await wholeOf(again, "chat", { ...CHAT, ...more });
    again.stop();
    expect(choiceOf(whole)).toMatchObject({ message: { content: "one two three" } });
    expect(whole["shelter"]).toEqual({ served_by: ["a", "b"], carried_over: 0, started_anew: 1 });
  });
}

test("another model on the other host continues nothing, but may start anew", async () => {
  const one: Script = { tokens: ["one", " two", " three"] };
  const models = [
    {
      name: "m",
      on: { a: { name: "x", sha256: "1".repeat(64) }, b: { name: "y", sha256: "2".repeat(64) } },
    },
  ];
  const cutAt = streamText(one, { messages: [] }).indexOf(" three");
  const shown = kitchenOf([scriptedEngine(one, [{ cutAt }]), scriptedEngine(one)], { models });
  const seen = await streamOf(shown, "chat", { ...CHAT, model: "m" });
  shown.stop();
  expect(seen.error).toMatchObject({
    code: "not_carried_over",
    message: expect.stringContaining("another model"),
  });
  const second = scriptedEngine(one);
  const early = kitchenOf([scriptedEngine(one, [{ cutAt: 300 }]), second], { models });
  const anew = await streamOf(early, "chat", { ...CHAT, model: "m" });
  early.stop();
  expect(anew.text).toBe("one two three");
  expect(second.asked[0]?.body["model"]).toBe("y");
  expect(new Set(anew.chunks.map((chunk) => chunk["model"]))).toEqual(new Set(["m"]));
});

test("a client's own opening is continued, not doubled", async () => {
  const one: Script = { tokens: ["Roses", " are", " red", ", violets"] };
  const opened = {
    messages: [
      { role: "user", content: "Poem" },
      { role: "assistant", content: "Roses are" },
    ],
    temperature: 0,
  };
  const length = Buffer.byteLength(streamText(one, opened));
  for (let cutAt = 0; cutAt < length; cutAt += 17) {
    const { seen } = await carried("chat", opened, one, [{ cutAt }]);
    expect(seen.text).toBe("Roses are red, violets");
  }
});

test("with warming the next engine reads the prompt ahead, once, and only where it serves the same model", async () => {
  const one: Script = { tokens: ["one", " two", " three"] };
  const other = [
    {
      name: "m",
      on: { a: { name: "x", sha256: "1".repeat(64) }, b: { name: "y", sha256: "2".repeat(64) } },
    },
  ];
  for (const [warm, models, ahead] of [
    [true, [], 1],
    [false, [], 0],
    [true, other, 0],
  ] as const) {
    const next = scriptedEngine(one);
    const kitchen = kitchenOf([scriptedEngine(one), next], { warm, models });
    const seen = await streamOf(kitchen, "chat", { ...CHAT, max_tokens: 50 });
    kitchen.stop();
    expect(seen.text).toBe("one two three");
    expect(next.asked.map((asked) => asked.body["max_tokens"])).toEqual(Array(ahead).fill(0));
    for (const asked of next.asked) expect(asked.body["messages"]).toEqual(CHAT.messages);
    expect(kitchen.engines[1]?.taken).toBe(0);
  }
});
