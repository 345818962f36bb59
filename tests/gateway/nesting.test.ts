/** JSON that is nested deeper than any program's stack, from either side: refused where it comes in, and nothing is lost by it. */
import { expect, test } from "bun:test";
import { serveClient, type House } from "../../lib/gateway/serve.ts";
import { serveRelay } from "../../lib/gateway/relay.ts";
import { parseJson } from "../../lib/gateway/json.ts";
import type { Incoming, Reply } from "../../lib/machine/listen.ts";
import { kitchenOf, type TestKitchen } from "../support/gateway_kitchen.ts";
import { scriptedEngine, type Trouble } from "../support/scripted_engine.ts";

const DEEP = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
const CHAT = `{"messages":[{"role":"user","content":"Go"}],"stream":true}`;
const TOKENS = ["Hello", " there", "."];

function houseOf(kitchen: TestKitchen): House & { readonly bugs: unknown[] } {
  const bugs: unknown[] = [];
  return { ...kitchen, key: () => "key", status: () => ({}), bug: (one) => bugs.push(one), bugs };
}

function asking(path: string, body: string): Incoming {
  return {
    method: "POST",
    path,
    headers: new Map([["authorization", "Bearer key"]]),
    length: undefined,
    signal: new AbortController().signal,
    over: Promise.resolve(),
    body: () => Promise.resolve(Buffer.from(body)),
  };
}

async function textOf({ body }: Reply): Promise<string> {
  if (typeof body === "string") return body;
  let text = "";
  for await (const piece of body) text += Buffer.from(piece as Uint8Array).toString();
  return text;
}

test("nesting is read to a depth that nobody needs, and no further", () => {
  const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
  expect(parseJson(nested(512))).toBeArray();
  expect(() => parseJson(nested(513))).toThrow(RangeError);
  expect(() => parseJson(`{"a":${DEEP}}`)).toThrow(RangeError);
  expect(() => parseJson("[")).toThrow(SyntaxError);
});

test("a request that is nested too deep is the client's fault, at both doors", async () => {
  const kitchen = kitchenOf([scriptedEngine({ tokens: TOKENS })]);
  const house = houseOf(kitchen);
  for (const path of ["/v1/chat/completions", "/v1/embeddings"]) {
    const request = asking(path, `${CHAT.slice(0, -1)},"deep":${DEEP}}`);
    for (const serve of [
      serveClient(house, request),
      serveRelay(house, kitchen.engines[0], request),
    ]) {
      const reply = await serve;
      expect(reply.status).toBe(400);
      expect(reply.body).toContain("nested too deep");
    }
  }
  kitchen.stop();
  expect(house.bugs).toEqual([]);
  expect(kitchen.engines[0]?.taken).toBe(0);
});

const chunk = (choice: string, more = "") =>
  `data: {"id":"x","created":1,"model":"m","choices":[{"index":0,"finish_reason":null,${choice}}]${more}}\n\n`;
const HOSTILE: Readonly<Record<string, string>> = {
  "a part of a call": chunk(`"delta":{"tool_calls":[{"index":0,"deep":${DEEP}}]}`),
  logprobs: chunk(`"delta":{"content":"Hello"},"logprobs":${DEEP}`),
  timings: chunk(`"delta":{"content":"Hello"}`, `,"timings":{"deep":${DEEP}}`),
  progress: chunk(`"delta":{}`, `,"prompt_progress":{"deep":${DEEP}}`),
};

for (const [what, event] of Object.entries(HOSTILE)) {
  test(`an engine that nests ${what} too deep is not believed, and gives its place back`, async () => {
    const trouble: Trouble = {
      reply: () => new Response(event, { headers: { "Content-Type": "text/event-stream" } }),
    };
    const kitchen = kitchenOf([
      scriptedEngine({ tokens: TOKENS }, [trouble]),
      scriptedEngine({ tokens: TOKENS }),
    ]);
    const house = houseOf(kitchen);
    const wanted = `${CHAT.slice(0, -1)},"timings_per_token":true,"return_progress":true}`;
    const text = await textOf(await serveClient(house, asking("/v1/chat/completions", wanted)));
    kitchen.stop();
    expect(text).toContain(`"content":" there"`);
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(house.bugs).toEqual([]);
    expect(kitchen.engines.map((one) => one.taken)).toEqual([0, 0]);
    expect(kitchen.counts.faults).toEqual({ malformed: 1 });
  });
}
