/** Many of the largest requests at once, at a gateway of its own process: its memory stays within its unit's, and small ones are answered all the while. */
import { expect, test } from "bun:test";
import { serveScripted } from "../support/engine_server.ts";
import { startGatewayProgram } from "../support/gateway_program.ts";
import { localEngine, worldFolder } from "../support/gateway_world.ts";

const TOKENS = Array.from({ length: 30 }, (_, at) => ` word${at}`);

test("a flood of large requests is refused beyond the room for it, and costs nobody else an answer", async () => {
  const place = worldFolder();
  const engine = serveScripted(place.folder, { tokens: TOKENS }, [], 20);
  const gateway = await startGatewayProgram(place.folder, {
    engines: [localEngine("phantom", engine, 4)],
  });
  let peak = 0;
  const looking = setInterval(() => (peak = Math.max(peak, gateway.memory())), 20);
  try {
    await gateway.settled();
    const ask = async (content: string) => {
      const response = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { Authorization: `Bearer ${gateway.key}` },
        body: JSON.stringify({ messages: [{ role: "user", content }] }),
        keepalive: false,
      });
      const { error } = (await response.json()) as { readonly error?: object };
      return { status: response.status, again: response.headers.get("retry-after"), error };
    };
    const large = "a".repeat(15_000_000);
    const flood = Array.from({ length: 24 }, () => ask(large));
    const small: number[] = [];
    while (small.length < 8) small.push((await ask("Go")).status);
    expect(small).toEqual(small.map(() => 200));
    const answers = await Promise.all(flood);
    const refused = answers.filter((one) => one.status !== 200);
    expect(refused.length).toBeWithin(1, flood.length);
    for (const one of refused) {
      expect(one).toMatchObject({
        ...{ status: 429, again: "5" },
        error: { type: "rate_limit_error", code: "memory_full" },
      });
    }
    expect(await ask(large)).toMatchObject({ status: 200 });
    expect(gateway.ended()).toBeUndefined();
    expect(peak).toBeLessThan(400e6);
  } finally {
    clearInterval(looking);
    await gateway.stop();
    engine.kill();
    place.dispose();
  }
}, 60_000);
