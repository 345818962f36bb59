/** A body in chunks of one byte: it takes the memory of its bytes, not of its chunks. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { createConnection } from "node:net";
import { Gathered } from "../../lib/machine/http1.ts";
import { serveScripted } from "../support/engine_server.ts";
import { startGatewayProgram } from "../support/gateway_program.ts";
import { localEngine, worldFolder } from "../support/gateway_world.ts";

test("what was gathered is what was added, and it is gone when it was taken", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (pieces) => {
      const gathered = new Gathered();
      for (const piece of pieces) gathered.add(piece);
      const whole = Buffer.concat(pieces);
      expect(gathered.length).toBe(whole.length);
      expect(gathered.take()).toEqual(whole);
      expect(gathered.take()).toHaveLength(0);
    }),
  );
});

test("a request of two million chunks is answered, and takes no more memory than others", async () => {
  const place = worldFolder();
  const engine = serveScripted(place.folder, { tokens: ["Hello"] });
  const gateway = await startGatewayProgram(place.folder, {
    engines: [localEngine("shadow", engine)],
  });
  try {
    await gateway.settled();
    const before = gateway.memory();
    let most = before;
    const looking = setInterval(() => (most = Math.max(most, gateway.memory())), 50);
    const socket = createConnection(Number(new URL(gateway.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
    const over = new Promise((resolve) => socket.on("close", resolve));
    const write = (piece: string | Buffer) =>
      new Promise((resolve) => (socket.write(piece) ? resolve(0) : socket.once("drain", resolve)));
    const chunks = (body: string) => body.replaceAll(/./g, "1\r\n$&\r\n");
    await write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.key}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
    );
    await write(chunks(`{"messages":[{"role":"user","content":"Go"}],"much":"`));
    const piece = Buffer.from(chunks("x".repeat(50_000)));
    for (let at = 0; at < 40; at++) await write(piece);
    await write(`${chunks(`"}`)}0\r\n\r\n`);
    await over;
    clearInterval(looking);
    expect(text).toStartWith("HTTP/1.1 200 ");
    expect(text).toContain(`"content":"Hello"`);
    expect(most - before).toBeLessThan(250e6);
  } finally {
    await gateway.stop();
    engine.kill();
    place.dispose();
  }
}, 60_000);
