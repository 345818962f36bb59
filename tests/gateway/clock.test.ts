/** A clock that is set while the gateway runs: nobody waits longer or shorter for it. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runGateway } from "../../lib/gateway/run.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { serveScripted } from "../support/engine_server.ts";
import { freePort, localEngine, worldFolder } from "../support/gateway_world.ts";
import { kitchenOf, streamOf } from "../support/gateway_kitchen.ts";
import { scriptedEngine } from "../support/scripted_engine.ts";

const HOUR = 3_600_000;

test("an engine that fell comes back in its time, though the clock went back by an hour; and its times are told by that clock", async () => {
  const place = worldFolder();
  const home = join(place.folder, "home");
  mkdirSync(home);
  const engines = [0, 1].map(() => serveScripted(place.folder, { tokens: ["Hello"] }));
  const [first, second] = engines;
  if (!first || !second) throw new Error("no engines");
  const path = join(home, "gateway.json");
  const port = await freePort();
  const keyFile = join(home, "key");
  writeFileSync(keyFile, "key\n");
  writeFileSync(
    path,
    JSON.stringify({
      schema: 1,
      host: "here",
      listen: { address: "127.0.0.1", port, keyFile },
      engines: [localEngine("first", first), localEngine("second", second)],
    }),
  );
  let set = 0;
  const machine = { ...thisMachine(), now: () => Date.now() + set };
  const stopping = new AbortController();
  const ended = runGateway({ probe: createProbe(machine, home, "here"), path }, stopping.signal);
  const look = async () => {
    const headers = { Authorization: "Bearer key" };
    const response = await fetch(`http://127.0.0.1:${port}/shelter/status`, { headers });
    return (await response.json()) as { engines: { state: string; since: string }[] };
  };
  const until = async (states: readonly string[], most: number) => {
    const end = Date.now() + most;
    for (;;) {
      const found = await look();
      if (found.engines.every(({ state }, at) => state === states[at])) return found;
      if (Date.now() > end) throw new Error(`not ${states.join()}: ${JSON.stringify(found)}`);
      await Bun.sleep(30);
    }
  };
  try {
    await until(["up", "up"], 5000);
    first.kill();
    await until(["down", "up"], 5000);
    first.revive();
    await Bun.sleep(1000); // it is calm by now, and has to be for two seconds more
    set = -HOUR;
    const { engines: told } = await until(["up", "up"], 8000);
    expect(Math.abs(Date.parse(told[0]?.since ?? "") - (Date.now() - HOUR))).toBeLessThan(3000);
  } finally {
    stopping.abort(new Error("the test is over"));
    await ended;
    first.kill();
    second.kill();
    place.dispose();
  }
}, 30_000);

test("an engine that is busy for less than no time is left alone for a moment", async () => {
  const busy = () =>
    Response.json({ error: {} }, { status: 429, headers: { "Retry-After": "-5" } });
  const scripted = scriptedEngine(
    { tokens: ["Hello"] },
    Array.from({ length: 3 }, () => ({ reply: busy })),
  );
  const kitchen = kitchenOf([scripted]);
  const began = performance.now();
  const body = { messages: [{ role: "user", content: "Go" }] };
  const { text } = await streamOf(kitchen, "chat", body);
  kitchen.stop();
  expect(text).toBe("Hello");
  expect(performance.now() - began).toBeGreaterThan(740);
});
