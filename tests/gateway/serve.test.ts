/** The gateway as a client meets it: routes, key, refusals, queue, and a document that changes while it runs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { runningGateway } from "../../lib/gateway/client.ts";
import { inHome } from "../../lib/keep/home.ts";
import { complete } from "../../lib/llm/complete.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { serveScripted, type EngineServer } from "../support/engine_server.ts";
import {
  localEngine,
  startGateway,
  worldFolder,
  type RunningGateway,
} from "../support/gateway_world.ts";
import { readAnswer } from "../support/read_answer.ts";

const place = worldFolder();
const SECRET = "a sentence that nobody else may ever read";
let engine: EngineServer;
let gateway: RunningGateway;

beforeAll(async () => {
  engine = serveScripted(place.folder, { tokens: ["Hello", " there", "."] }, [], 0);
  gateway = await startGateway(place.folder, {
    engines: [localEngine("shadow", engine, 2)],
    models: [{ name: "public", on: { shadow: { name: "inner" } } }],
    limits: { body: 100_000 },
  });
});
afterAll(async () => {
  await gateway.stop();
  engine.kill();
  place.dispose();
});

const CHAT = { messages: [{ role: "user", content: SECRET }], model: "public" };
const get = (path: string, key = gateway.key) =>
  fetch(gateway.url + path, { headers: { Authorization: `Bearer ${key}` } });

test("without the key nothing but its health is told", async () => {
  for (const path of ["/v1/models", "/shelter/status", "/v1/nothing"]) {
    for (const key of ["", "wrong", `${gateway.key}x`, gateway.key.slice(1)]) {
      const response = await get(path, key);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe("Bearer");
      expect(await response.json()).toEqual({
        error: {
          message: expect.any(String),
          type: "authentication_error",
          param: null,
          code: "invalid_api_key",
        },
      });
    }
  }
  const health = await fetch(`${gateway.url}/health`);
  expect(await health.json()).toEqual({ status: "ok" });
});

test("a whole answer, a stream and the list of models, under the names that clients know", async () => {
  const response = await gateway.post("/v1/chat/completions", CHAT);
  expect(response.headers.get("x-shelter-served-by")).toBe("shadow");
  expect(response.headers.get("x-shelter-carried-over")).toBe("0");
  expect(await response.json()).toMatchObject({
    object: "chat.completion",
    model: "public",
    choices: [
      { index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello there." } },
    ],
    usage: { completion_tokens: 3, prompt_tokens: 10, total_tokens: 13 },
  });
  expect(engine.asked.at(-1)?.body).toMatchObject({
    model: "inner",
    stream: true,
    return_progress: true,
  });
  const stream = await gateway.post("/v1/chat/completions", { ...CHAT, stream: true });
  const events = (await stream.text()).split("\n\n").filter((one) => one !== "");
  expect(events.at(-1)).toBe("data: [DONE]");
  const documents = events
    .slice(0, -1)
    .map((one) => JSON.parse(one.slice(6)) as Record<string, unknown>);
  expect(documents.every((one) => one["model"] === "public" && one["usage"] === undefined)).toBe(
    true,
  );
  expect(documents.at(-1)?.["shelter"]).toEqual({
    served_by: ["shadow"],
    carried_over: 0,
    started_anew: 0,
  });
  expect(await (await get("/v1/models")).json()).toMatchObject({
    object: "list",
    data: [{ id: "public", shelter: { up: ["shadow"] } }],
  });
});

test("progress and timings come only to who asked for them", async () => {
  const text = async (more: Record<string, unknown>) =>
    (await gateway.post("/v1/chat/completions", { ...CHAT, stream: true, ...more })).text();
  expect(await text({})).not.toContain("prompt_progress");
  expect((await text({ return_progress: true })).match(/prompt_progress/g)).toHaveLength(2);
  expect((await text({})).match(/"timings"/g)).toHaveLength(1);
  expect((await text({ timings_per_token: true })).match(/"timings"/g)).toHaveLength(4);
});

const WRONG: readonly (readonly [string, string, string, number, string])[] = [
  ["broken JSON", "/v1/chat/completions", '{"messages":[', 400, "invalid_json"],
  ["JSON of another kind", "/v1/chat/completions", "[1]", 400, "invalid_json"],
  ["no UTF-8", "/v1/chat/completions", "\xff\xfe", 400, "invalid_json"],
  ["JSON as deep as a well", "/v1/chat/completions", "[".repeat(90_000), 400, "invalid_json"],
  ["no messages", "/v1/chat/completions", "{}", 400, "invalid_messages"],
  ["no prompt", "/v1/completions", "{}", 400, "invalid_prompt"],
  [
    "a limit that is no number",
    "/v1/completions",
    '{"prompt":"x","max_tokens":"many"}',
    400,
    "invalid_max_tokens",
  ],
  [
    "a stream that is neither",
    "/v1/completions",
    '{"prompt":"x","stream":"yes"}',
    400,
    "invalid_stream",
  ],
  ["a model that is none", "/v1/completions", '{"prompt":"x","model":7}', 400, "invalid_model"],
  [
    "an unknown model",
    "/v1/completions",
    '{"prompt":"x","model":"nobody"}',
    404,
    "model_not_found",
  ],
  ["an unknown address", "/v1/images", "{}", 404, "unknown_url"],
];
test("what can't be answered is refused in OpenAI's shape", async () => {
  for (const [what, path, body, status, code] of WRONG) {
    const response = await fetch(gateway.url + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${gateway.key}` },
      body: Buffer.from(body, "latin1"),
    });
    expect([what, response.status, await response.json()]).toMatchObject([
      what,
      status,
      { error: { code, message: expect.any(String) } },
    ]);
  }
  expect((await get("/v1/chat/completions")).status).toBe(405);
});

test("a body of 100 MB is refused before it is sent", async () => {
  const said = await new Promise<string>((resolve) => {
    const socket = createConnection(Number(new URL(gateway.url).port), "127.0.0.1");
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      resolve(bytes.toString());
      socket.destroy();
    });
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Length: 100000000\r\n\r\n{`,
    );
  });
  expect(said).toStartWith("HTTP/1.1 413 ");
  expect(said).toContain('"code":"body_too_large"');
});

test("more than the line holds is refused with a time to come again; the others are answered in turn", async () => {
  const slow = serveScripted(
    place.folder,
    { tokens: ["a", "b", "c"] },
    Array.from({ length: 9 }, () => ({ pieces: [300] })),
    15,
  );
  const busy = await startGateway(place.folder, {
    engines: [localEngine("slow", slow, 1)],
    limits: { queue: 2, queueTime: 20_000 },
  });
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => busy.post("/v1/chat/completions", CHAT)),
  );
  expect(answers.map((one) => one.status).sort((a, b) => a - b)).toEqual([
    200, 200, 200, 429, 429, 429,
  ]);
  const refused = answers.find((one) => one.status === 429);
  expect(refused?.headers.get("retry-after")).toBe("5");
  expect(await refused?.json()).toMatchObject({
    error: { code: "queue_full", type: "rate_limit_error" },
  });
  await busy.stop();
  slow.kill();
});

test("with no engine at all a request waits for one, and is then refused with a time to come again", async () => {
  const gone = serveScripted(place.folder, { tokens: ["back"] });
  gone.kill();
  const alone = await startGateway(
    place.folder,
    {
      engines: [localEngine("gone", gone)],
      limits: { outageTime: 1500 },
    },
    false,
  );
  const response = await alone.post("/v1/chat/completions", { ...CHAT, stream: true });
  expect(response.status).toBe(503);
  expect(response.headers.get("retry-after")).toBe("5");
  expect(await response.json()).toMatchObject({
    error: { code: "no_engine", message: expect.stringContaining("unreachable") },
  });
  const patient = readAnswer(alone.post("/v1/chat/completions", { ...CHAT, stream: true }));
  await Bun.sleep(300);
  gone.revive();
  expect(await patient).toMatchObject({ text: "back", whole: true });
  await alone.stop();
  gone.kill();
});

test("nothing of a question or an answer is in the status or the notes", async () => {
  await readAnswer(gateway.post("/v1/chat/completions", CHAT));
  const told = JSON.stringify(await gateway.status()) + gateway.notes.join("\n");
  expect(told).not.toContain("sentence");
  expect(told).not.toContain("Hello");
  expect(await gateway.status()).toMatchObject({
    schema: 1,
    serves: "shadow",
    queue: { waiting: 0 },
    engines: [{ name: "shadow", state: "up" }],
  });
});

test("a changed document is in force within seconds, a wrong one is noted and changes nothing", async () => {
  const document = JSON.parse(readFileSync(gateway.path, "utf8")) as Record<string, unknown>;
  const listen = { ...(document["listen"] as object), port: Number(new URL(gateway.url).port) };
  const change = async (text: string, note: string) => {
    writeFileSync(gateway.path, text);
    const until = Date.now() + 10_000;
    for (;;) {
      if (gateway.notes.at(-1)?.includes(note)) return;
      if (Date.now() > until) throw new Error(`not noted: ${gateway.notes.join("; ")}`);
      await Bun.sleep(50);
    }
  };
  await change("{", "the last good one stays");
  expect((await readAnswer(gateway.post("/v1/chat/completions", CHAT))).text).toBe("Hello there.");
  await change(
    JSON.stringify({
      ...document,
      listen,
      models: [{ name: "renamed", on: { shadow: { name: "inner" } } }],
    }),
    "goes on with it",
  );
  const renamed = await readAnswer(
    gateway.post("/v1/chat/completions", { ...CHAT, model: "renamed" }),
  );
  expect(renamed.text).toBe("Hello there.");
  expect((await gateway.post("/v1/chat/completions", CHAT)).status).toBe(404);
}, 30_000);

test("a changed list of models alone is taken up without starting over: engines, streams and ports stay", async () => {
  const one = await startGateway(place.folder, {
    engines: [localEngine("shadow", engine)],
    models: [{ name: "public", on: { shadow: { name: "inner" } } }],
  });
  try {
    const document = JSON.parse(readFileSync(one.path, "utf8")) as Record<string, unknown>;
    const before = await one.status();
    const models = [{ name: "renamed", on: { shadow: { name: "inner" } } }];
    // its port is any free one (0): listened on anew, it would be another
    writeFileSync(one.path, JSON.stringify({ ...document, models }));
    const asked = (model: string) => one.post("/v1/chat/completions", { ...CHAT, model });
    for (const until = Date.now() + 10_000; (await asked("renamed")).status !== 200;) {
      if (Date.now() > until) throw new Error(`never taken up: ${one.notes.join("; ")}`);
      await Bun.sleep(50);
    }
    expect((await asked("public")).status).toBe(404);
    const after = await one.status();
    // one that had been forgotten would be up since the change; two clocks make it a millisecond more or less
    const [was, is] = [before, after].map(
      ({ engines }) => (engines as { readonly state: string; readonly since: string }[])[0],
    );
    expect(is?.state).toBe("up");
    expect(Date.parse(is?.since ?? "") - Date.parse(was?.since ?? "")).toBeWithin(-100, 100);
    expect(one.notes).toEqual(["the document has changed; the gateway goes on with it"]);
  } finally {
    await one.stop();
  }
}, 30_000);

test("the shelter's own commands find the gateway, read its state and ask through it", async () => {
  const home = join(place.folder, "home");
  mkdirSync(join(home, "runtime"), { recursive: true });
  const probe = createProbe(thisMachine(), home, "here");
  expect(await runningGateway(probe)).toBeUndefined();
  const document = JSON.parse(readFileSync(gateway.path, "utf8")) as Record<string, unknown>;
  const listen = { ...(document["listen"] as object), port: Number(new URL(gateway.url).port) };
  writeFileSync(inHome.gateway(home), JSON.stringify({ ...document, listen }));
  const client = await runningGateway(probe);
  expect(client?.status).toMatchObject({ schema: 1, serves: "shadow" });
  if (!client) throw new Error("not found");
  const done = await complete(client, {
    messages: [{ role: "user", content: "Hi" }],
    maxTokens: 9,
  });
  expect(done).toMatchObject({ text: "Hello there.", finish: "stop", generatedTokens: 3 });
});
