/** Clients that break off amid their streams, at any moment: nothing that this throws may reach the gateway's process, and every place comes free again. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { serveClient, type House } from "../../lib/gateway/serve.ts";
import { Left } from "../../lib/machine/connection.ts";
import { createDial } from "../../lib/machine/dial.ts";
import { serveScripted } from "../support/engine_server.ts";
import { kitchenOf } from "../support/gateway_kitchen.ts";
import { worldFolder } from "../support/gateway_world.ts";

const place = worldFolder();
const engine = serveScripted(
  place.folder,
  { tokens: Array.from({ length: 300 }, (_, at) => ` word${at}`) },
  [],
  1,
);
const kitchen = kitchenOf([{ ...engine, dial: overTheWire() }]);
const bugs: unknown[] = [];
const house: House = {
  ...kitchen,
  key: () => "key",
  status: () => ({}),
  bug: (error) => bugs.push(error),
};
afterAll(() => {
  kitchen.stop();
  engine.kill();
  place.dispose();
});

/** A real connection: ending a body of one takes a moment, in which the client may be found gone. */
function overTheWire(): ReturnType<typeof createDial> {
  const dial = createDial();
  const key = readFileSync(engine.keyFile, "utf8").trim();
  return (url, request) => {
    const headers = { ...request.headers, Authorization: `Bearer ${key}` };
    return dial(engine.url + new URL(url).pathname, { ...request, headers });
  };
}

/** Reads some events of a stream, and then ends it as a connection does whose write has failed. */
async function leaveAfter(events: number, between: "at once" | "a moment" | "its end") {
  const gone = new AbortController();
  const reply = await serveClient(house, {
    method: "POST",
    path: "/v1/chat/completions",
    headers: new Map([["authorization", "Bearer key"]]),
    length: undefined,
    signal: gone.signal,
    over: Promise.resolve(),
    body: () =>
      Promise.resolve(
        Buffer.from(`{"messages":[{"role":"user","content":"Go"}],"stream":true}`, "utf8"),
      ),
  });
  if (typeof reply.body === "string") throw new Error(reply.body);
  const pieces = reply.body[Symbol.asyncIterator]();
  for (let at = 0; at < events; at++) await pieces.next();
  const ended = pieces.return?.();
  if (between === "a moment") await Promise.resolve();
  if (between === "its end") await ended;
  gone.abort(new Left("the client has left"));
  await ended;
}

test("a client that leaves amid a stream ends nothing but its own answer", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", note);
  try {
    for (const between of ["at once", "a moment", "its end"] as const) {
      for (let events = 1; events <= 6; events++) await leaveAfter(events, between);
    }
    const until = Date.now() + 5000;
    while (kitchen.engines[0]?.taken !== 0 && Date.now() < until) await Bun.sleep(10);
    await Bun.sleep(50); // a rejection that nobody takes is told a turn later
  } finally {
    process.off("unhandledRejection", note);
  }
  expect(unhandled).toEqual([]);
  expect(bugs).toEqual([]);
  expect(kitchen.engines[0]?.taken).toBe(0);
});
