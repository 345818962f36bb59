/** The peers' face where something goes wrong within. */
import { expect, test } from "bun:test";
import { serveRelay } from "../../lib/gateway/relay.ts";
import { kitchenOf } from "../support/gateway_kitchen.ts";
import { scriptedEngine } from "../support/scripted_engine.ts";

test("an error that should not happen is heard of, unless it is only that the peer has left", async () => {
  const kitchen = kitchenOf([scriptedEngine({ tokens: ["Hello"] })]);
  kitchen.stop();
  const bugs: unknown[] = [];
  const broken = new TypeError("broken");
  const house = {
    ...kitchen,
    get models(): never {
      throw broken;
    },
    bug: (error: unknown) => bugs.push(error),
  };
  const asking = (signal: AbortSignal) =>
    serveRelay(house, kitchen.engines[0], {
      method: "GET",
      path: "/shelter/health",
      headers: new Map(),
      length: 0,
      signal,
      over: Promise.resolve(),
      body: () => Promise.resolve(Buffer.alloc(0)),
    }).catch((error: unknown) => error);
  expect(await asking(AbortSignal.abort())).toBe(broken);
  expect(bugs).toEqual([]);
  expect(await asking(new AbortController().signal)).toBe(broken);
  expect(bugs).toEqual([broken]);
});
