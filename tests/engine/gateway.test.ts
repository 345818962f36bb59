/** The gateway in front of real engines: killed, frozen and ended amid the answers of four clients, and nobody notices. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  engineFiles,
  localEngine,
  startEngine,
  startGateway,
  worldFolder,
  type RealEngine,
  type RunningGateway,
} from "../support/gateway_world.ts";
import { QUESTIONS } from "../support/questions.ts";
import { type Answer, readAnswer } from "../support/read_answer.ts";

const place = worldFolder();
let engines: RealEngine[] = [];
let gateway: RunningGateway;
let undisturbed: readonly Answer[];
/** What an engine of this machine needs to read four prompts that it does not know, in milliseconds: no gateway can go on sooner. */
let readingMs: number;

const TOKENS = 60;
/** Longest silence that may follow each disturbance, in milliseconds. */
const SILENCE = { SIGKILL: 1000, SIGTERM: 1000, SIGSTOP: 5000 } as const;

beforeAll(async () => {
  const files = await engineFiles();
  engines = [await startEngine(files, place.folder), await startEngine(files, place.folder)];
  gateway = await startGateway(place.folder, {
    warm: true,
    engines: engines.map((engine, at) => localEngine(at === 0 ? "shadow" : "phantom", engine)),
  });
  readingMs = await readingTime(engines[1] as RealEngine);
  undisturbed = await Promise.all(QUESTIONS.map((_, at) => ask(at, true)));
}, 300_000);

afterAll(async () => {
  await gateway?.stop();
  for (const engine of engines) {
    engine.signal("SIGCONT");
    await engine.stop();
  }
  place.dispose();
});

function ask(at: number, stream: boolean): Promise<Answer> {
  return readAnswer(
    gateway.post("/v1/chat/completions", {
      messages: [{ role: "user", content: QUESTIONS[at] }],
      max_tokens: TOKENS,
      temperature: 0,
      stream,
      ...(stream ? { stream_options: { include_usage: true } } : {}),
    }),
  );
}

/** Waits until every engine is up again. */
async function allUp(): Promise<void> {
  for (;;) {
    const { engines: list } = (await gateway.status()) as { engines: { state: string }[] };
    if (list.every((one) => one.state === "up")) return;
    await Bun.sleep(100);
  }
}

for (const signal of ["SIGKILL", "SIGSTOP", "SIGTERM"] as const) {
  test(`${signal} amid four answers, streams and whole ones: all come, equal to the undisturbed, under one id`, async () => {
    await allUp();
    const asked = QUESTIONS.flatMap((_, at) => (at % 2 === 0 ? [ask(at, true)] : [ask(at, false)]));
    await Bun.sleep((undisturbed[0]?.tookMs ?? 3000) * 0.5);
    engines[0]?.signal(signal);
    const answers = await Promise.all(asked);
    if (signal === "SIGSTOP") engines[0]?.signal("SIGCONT");
    else {
      engines[0]?.signal("SIGKILL");
      await engines[0]?.ended;
      engines[0] = (await engines[0]?.again()) as RealEngine;
    }
    for (const [at, answer] of answers.entries()) {
      expect(answer.error).toBeUndefined();
      expect(answer.whole).toBe(true);
      expect(answer.text).toBe(undisturbed[at]?.text ?? "");
      expect(answer.finish).toBe(undisturbed[at]?.finish);
      expect(answer.ids.size).toBe(1);
      expect(answer.usage?.["completion_tokens"]).toBe(
        undisturbed[at]?.usage?.["completion_tokens"],
      );
      expect(answer.usage?.["prompt_tokens"]).toBe(undisturbed[at]?.usage?.["prompt_tokens"]);
    }
    const carried = answers.filter((answer) => (answer.served?.carried_over ?? 0) > 0);
    expect(carried.length).toBeGreaterThan(0);
    const longest = Math.max(...answers.map((answer) => answer.silenceMs));
    console.log(
      `${signal}: longest silence ${Math.round(longest)} ms, reading ${Math.round(readingMs)} ms, ${carried.length} of ${answers.length} carried over`,
    );
    expect(longest).toBeLessThan(SILENCE[signal] + readingMs + slowness());
  }, 180_000);
}

/** Four unknown prompts about as long as a question and half of its answer, read at once. */
async function readingTime(engine: RealEngine): Promise<number> {
  const key = (await Bun.file(engine.keyFile).text()).trim();
  const one = async (at: number) => {
    const words = Array.from({ length: 60 }, (_, n) =>
      String.fromCharCode(97 + ((n * (at + 3)) % 26)),
    );
    const response = await fetch(`${engine.url}/v1/completions`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}` },
      body: JSON.stringify({ prompt: words.join(" "), max_tokens: 1, temperature: 0 }),
      keepalive: false,
    });
    expect(response.status).toBe(200);
  };
  const began = performance.now();
  await Promise.all([0, 1, 2, 3].map(one));
  return performance.now() - began;
}

/** What a machine shared with others adds: the slowest step of the undisturbed answers, three times. */
function slowness(): number {
  return 3 * Math.max(...undisturbed.map((answer) => answer.silenceMs));
}

test("a client that leaves stops the engine's work", async () => {
  await allUp();
  const leaving = new AbortController();
  const response = await gateway.post(
    "/v1/chat/completions",
    {
      messages: [{ role: "user", content: "Count to a thousand." }],
      max_tokens: 1500,
      stream: true,
    },
    leaving.signal,
  );
  await response.body?.getReader().read();
  leaving.abort();
  const key = (await Bun.file(engines[0]?.keyFile ?? "").text()).trim();
  const until = Date.now() + 20_000;
  for (;;) {
    const slots = (await (
      await fetch(`${engines[0]?.url}/slots`, { headers: { Authorization: `Bearer ${key}` } })
    ).json()) as { is_processing: boolean }[];
    if (slots.every((slot) => !slot.is_processing)) break;
    expect(Date.now()).toBeLessThan(until);
    await Bun.sleep(100);
  }
  const { counts } = (await gateway.status()) as { counts: { left: number } };
  expect(counts.left).toBe(1);
}, 60_000);

test("what the engine refuses is refused in its own words, and no other engine is bothered", async () => {
  const answer = await readAnswer(
    gateway.post("/v1/chat/completions", {
      messages: [{ role: "user", content: "x" }],
      response_format: { type: "nonsense" },
    }),
  );
  expect(answer.status).toBe(400);
  expect(answer.error).toMatchObject({ message: expect.stringContaining("response_format") });
  const { engines: list } = (await gateway.status()) as { engines: { state: string }[] };
  expect(list.map((one) => one.state)).toEqual(["up", "up"]);
});

test("completions of plain text are carried over too", async () => {
  await allUp();
  const post = () =>
    readAnswer(
      gateway.post("/v1/completions", {
        prompt: "Once upon a time",
        max_tokens: 40,
        temperature: 0,
        stream: true,
      }),
    );
  const before = await post();
  const asked = post();
  await Bun.sleep(before.tookMs * 0.5);
  engines[0]?.signal("SIGKILL");
  const answer = await asked;
  await engines[0]?.ended;
  engines[0] = (await engines[0]?.again()) as RealEngine;
  expect(answer.text).toBe(before.text);
  expect(answer.served?.carried_over).toBe(1);
  expect(answer.usage).toMatchObject({ completion_tokens: 40 });
}, 120_000);
