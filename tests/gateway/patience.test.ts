/** Whose fault a silence is: a client that does not read, or that is gone, says nothing of its engine. And watching an engine costs the same after days. */
import { expect, spyOn, test } from "bun:test";
import { answer } from "../../lib/gateway/answer.ts";
import { parseAsk } from "../../lib/gateway/ask.ts";
import { exchange } from "../../lib/gateway/exchange.ts";
import { watch } from "../../lib/gateway/monitor.ts";
import { MOST } from "../../lib/gateway/stall.ts";
import { kitchenOf } from "../support/gateway_kitchen.ts";
import { scriptedEngine } from "../support/scripted_engine.ts";

const TOKENS = Array.from({ length: 40 }, (_, at) => ` word${at}`);
const CHAT = { messages: [{ role: "user", content: "Go" }], stream: true };

test("a client that does not take its answer for a long time condemns no engine, and gets the rest of it", async () => {
  const kitchen = kitchenOf([scriptedEngine({ tokens: TOKENS }, [{ pieces: [700] }])]);
  const [engine] = kitchen.engines;
  const { happenings } = answer(kitchen, parseAsk("chat", CHAT), new AbortController().signal);
  const texts: string[] = [];
  const take = ({ value }: IteratorResult<unknown, unknown>) => texts.push(JSON.stringify(value));
  for (let at = 0; at < 8; at++) take(await happenings.next());
  for (let tick = 0; tick < 20; tick++) engine?.tick(MOST, false);
  expect(engine?.up).toBe(true);
  for (;;) {
    const next = await happenings.next();
    if (next.done === true) break;
    take(next);
  }
  kitchen.stop();
  expect(texts.filter((text) => text.includes(" word"))).toHaveLength(TOKENS.length);
  expect(kitchen.counts.faults).toEqual({});
});

test("an engine that falls silent amid an answer that is waited for has stalled, as before", async () => {
  const kitchen = kitchenOf([
    scriptedEngine({ tokens: TOKENS }, [{ pieces: [700], stallAt: 3000 }]),
    scriptedEngine({ tokens: TOKENS }),
  ]);
  const [engine] = kitchen.engines;
  const answering = answer(kitchen, parseAsk("chat", CHAT), new AbortController().signal);
  const reading = (async () => {
    for await (const _ of answering.happenings);
  })();
  await Bun.sleep(100);
  engine?.tick(MOST + 1, false);
  await reading;
  kitchen.stop();
  expect(engine?.up).toBe(false);
  expect(answering.served().served_by).toEqual(["a", "b"]);
});

test("nothing is asked for a client that has left before", async () => {
  const scripted = scriptedEngine({ tokens: TOKENS });
  const kitchen = kitchenOf([scripted]);
  const [engine] = kitchen.engines;
  if (!engine) throw new Error("no engine");
  const signal = AbortSignal.abort(new Error("left"));
  const request = { path: "/v1/completions", body: `{"prompt":"P:","stream":true}`, signal };
  const asking = exchange(engine, request, async function* (response) {
    yield await response.text();
  });
  expect(asking.next()).rejects.toThrow("left");
  await asking.next();
  kitchen.stop();
  expect(scripted.asked).toHaveLength(0);
  expect(engine.open.size).toBe(0);
});

test("watching an engine leaves nothing behind from look to look", async () => {
  const scripted = scriptedEngine({ tokens: TOKENS });
  const kitchen = kitchenOf([scripted]);
  const [engine] = kitchen.engines;
  if (!engine) throw new Error("no engine");
  scripted.alive = false; // looks come every 250 ms
  const ending = new AbortController();
  const added = spyOn(ending.signal, "addEventListener");
  const removed = spyOn(ending.signal, "removeEventListener");
  const watching = watch(engine, {
    signal: ending.signal,
    alone: () => true,
    model: () => undefined,
  });
  for (const until = Date.now() + 20_000; added.mock.calls.length < 8 && Date.now() < until;)
    await Bun.sleep(50);
  expect(added.mock.calls.length).toBeGreaterThanOrEqual(8);
  expect(added.mock.calls.length - removed.mock.calls.length).toBeLessThanOrEqual(2);
  ending.abort();
  await watching;
  kitchen.stop();
});
