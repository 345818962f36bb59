/** `ask` through the gateway, where there is one that answers; else as without it. */
import { expect, test } from "bun:test";
import { UsageError } from "../../lib/errors.ts";
import { inHome } from "../../lib/keep/home.ts";
import { ask, askModel } from "../../lib/orchestra/ask.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { SILENT } from "../support/run.ts";

const keep = keptForEachTest();

const LAST = { served_by: ["phantom", "shadow"], carried_over: 1, started_anew: 0 };
const STREAM = [
  { model: "the-engine-says", choices: [{ delta: { content: "A hut" } }] },
  { choices: [{ delta: { content: " up high" }, finish_reason: "stop" }] },
  {
    choices: [],
    usage: { completion_tokens: 9, prompt_tokens: 4 },
    timings: { predicted_n: 3, predicted_per_second: 50 },
    shelter: LAST,
  },
];

/** A gateway with this state; `document` is what stands in gateway.json. */
function gatewayWorld(serves: string | null, document?: string) {
  const asked: { url: string; body: unknown; key: string | null }[] = [];
  const made = fakeMachine({
    files: {
      [inHome.gateway(FAKE_HOME)]:
        document ??
        JSON.stringify({
          ...{ schema: 1, host: "phantom" },
          listen: { address: "127.0.0.1", port: 8080, keyFile: "/etc/gateway.key" },
          engines: [
            {
              name: "phantom",
              kind: "local",
              url: "http://127.0.0.1:8081",
              keyFile: "/k",
              slots: 1,
            },
          ],
          models: [{ name: "tiny", on: { phantom: { name: "tiny" } } }],
        }),
      "/etc/gateway.key": "secret\n",
    },
    fetch: (url, init) => {
      if (url.endsWith("/shelter/status")) return Promise.resolve(Response.json({ serves }));
      const key = new Headers(init?.headers).get("Authorization");
      asked.push({ url, body: JSON.parse(init?.body as string), key });
      const events = [...STREAM.map((one) => JSON.stringify(one)), "[DONE]"];
      return Promise.resolve(new Response(events.map((one) => `data: ${one}\n\n`).join("")));
    },
  });
  keep(made);
  const said: string[] = [];
  const streamed: string[] = [];
  const probe = createProbe(made.machine, FAKE_HOME, "phantom");
  const context = {
    ...{ probe, act: createAct(made.machine, probe), signal: new AbortController().signal },
    say: {
      ...SILENT,
      line: (text: string) => void said.push(text),
      stream: (text: string) => void streamed.push(text),
    },
  };
  return { context, asked, said, streamed };
}

test("the gateway is asked with its key, and who served is told", async () => {
  const { context, asked, said, streamed } = gatewayWorld("phantom");
  const answer = await askModel(context, { question: "What?" });
  expect(answer).toMatchObject({
    ...{ text: "A hut up high", model: "tiny", started: false, tokens: 9 },
    ...{ served_by: ["phantom", "shadow"], carried_over: 1 },
  });
  expect(asked).toMatchObject([
    {
      url: "http://127.0.0.1:8080/v1/chat/completions",
      key: "Bearer secret",
      body: { model: "tiny" },
    },
  ]);
  expect(streamed.join("")).toBe("A hut up high\n");
  expect(said.join()).toContain("tiny on phantom, then shadow: 9 tokens");
});

test("where the gateway's document names no models, the answer tells which one it was", async () => {
  const document = {
    ...{ schema: 1, host: "phantom" },
    listen: { address: "127.0.0.1", port: 8080, keyFile: "/etc/gateway.key" },
    engines: [
      { name: "phantom", kind: "local", url: "http://127.0.0.1:8081", keyFile: "/k", slots: 1 },
    ],
  };
  const { context, asked } = gatewayWorld("phantom", JSON.stringify(document));
  expect((await askModel(context, { question: "What?" })).model).toBe("the-engine-says");
  expect(asked[0]?.body).not.toHaveProperty("model");
});

test.each([
  ["with nobody to ask", null, undefined, undefined, "no engine that answers"],
  ["that does not know the model", "phantom", undefined, "huge", "does not know huge"],
  ["whose document is damaged", "phantom", "{", undefined, "Going on without the gateway"],
])("one %s is passed by, and that is said", async (_what, serves, document, model, words) => {
  const { context, asked, said } = gatewayWorld(serves, document);
  const request = { question: "What?", ...(model === undefined ? {} : { model }) };
  const failure: unknown = await askModel(context, request).catch((error: unknown) => error);
  expect(failure).toMatchObject({ id: "no-engine" }); // as without a gateway: none is live on this machine
  expect(said.join()).toContain(words);
  expect(asked).toEqual([]);
});

test("a number of tokens that is none is wrong usage, before anybody is asked", async () => {
  const { machine } = keep(fakeMachine({}));
  const place = { home: FAKE_HOME, host: "phantom" };
  const probe = createProbe(machine, FAKE_HOME, "phantom");
  for (const tokens of ["abc", "0", "-1", "1.5"]) {
    const want = { question: "hi", "max-tokens": tokens };
    const asked = ask({ machine, place, probe, want, units: {} });
    await expect(asked).rejects.toBeInstanceOf(UsageError);
  }
});
