/** An engine that refuses the gateway's own key: that is no client's fault, by whatever way it is asked, and no client is told that its key is wrong. */
import { expect, test } from "bun:test";
import { serveRelay } from "../../lib/gateway/relay.ts";
import { serveClient, type House } from "../../lib/gateway/serve.ts";
import type { Incoming } from "../../lib/machine/listen.ts";
import { kitchenOf, type TestKitchen } from "../support/gateway_kitchen.ts";
import { scriptedEngine, type ScriptedEngine } from "../support/scripted_engine.ts";

type Said = () => Response;
const refusing = (status: number): Said => {
  const error = { message: "Invalid API Key", type: "authentication_error", code: status };
  return () => Response.json({ error }, { status });
};
/** The same amid a stream that began well. */
const amid = (status: number): Said => {
  const event = `data: {"error":{"message":"Invalid API Key","code":${status}}}\n\n`;
  return () => new Response(event, { headers: { "Content-Type": "text/event-stream" } });
};
const saying = (reply: Said): ScriptedEngine => ({
  ...scriptedEngine({ tokens: [] }),
  dial: () => Promise.resolve(reply()),
});
const WISHES = {
  "/v1/chat/completions": { messages: [{ role: "user", content: "Go" }] },
  "/v1/completions": { prompt: "Go" },
  "/v1/embeddings": { input: "Go" },
} as const;
type Path = keyof typeof WISHES;
const CASES = (Object.keys(WISHES) as Path[]).flatMap((path) => [
  ...[401, 403].map((status) => [path, `HTTP ${status}`, refusing(status)] as const),
  ...(path === "/v1/embeddings" ? [] : [[path, "an event", amid(401)] as const]),
]);

const houseOf = (kitchen: TestKitchen): House => ({
  ...kitchen,
  key: () => "key",
  status: () => ({}),
  bug: (error) => {
    throw error;
  },
});

function asking(path: Path, more: object = {}): Incoming {
  return {
    method: "POST",
    path,
    headers: new Map([["authorization", "Bearer key"]]),
    length: undefined,
    signal: new AbortController().signal,
    over: Promise.resolve(),
    body: () => Promise.resolve(Buffer.from(JSON.stringify({ ...WISHES[path], ...more }))),
  };
}

test.each(CASES)("%s, refused by %s: a failure of ours", async (path, _, said) => {
  for (const stream of path === "/v1/embeddings" ? [false] : [false, true]) {
    const kitchen = kitchenOf([saying(said)]);
    const reply = await serveClient(houseOf(kitchen), asking(path, stream ? { stream } : {}));
    kitchen.stop();
    expect(reply.status).toBeGreaterThanOrEqual(502);
    expect(reply.headers["WWW-Authenticate"]).toBeUndefined();
    expect(reply.body).toContain("a refuses our key");
    expect(kitchen.engines[0]).toMatchObject({ up: false, taken: 0 });
  }
});

test.each(Object.keys(WISHES) as Path[])(
  "%s: another engine answers instead, where there is one",
  async (path) => {
    const sound = scriptedEngine({ tokens: ["Hello"] });
    const kitchen = kitchenOf([saying(refusing(401)), sound]);
    const reply = await serveClient(houseOf(kitchen), asking(path));
    kitchen.stop();
    expect(reply.status).toBe(200);
    expect(reply.headers["X-Shelter-Served-By"]).toBe("b");
  },
);

test.each(Object.keys(WISHES) as Path[])(
  "%s: a peer that asks is told that this engine is down",
  async (path) => {
    const kitchen = kitchenOf([saying(refusing(401))]);
    const [local] = kitchen.engines;
    const reply = await serveRelay(houseOf(kitchen), local, asking(path));
    kitchen.stop();
    expect(reply.status).toBe(503);
    expect(reply.body).toContain("this host's engine refuses our key");
    expect(local).toMatchObject({ up: false, taken: 0 });
  },
);
