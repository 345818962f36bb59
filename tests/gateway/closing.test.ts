/** A listener that stops: answers that are being given come to their end, and then nobody stays. */
import { expect, test } from "bun:test";
import { createConnection } from "node:net";
import { listen } from "../../lib/machine/listen.ts";

const LIMITS = {
  head: 2048,
  headTime: 60_000,
  bodyTime: 60_000,
  idleTime: 60_000,
  drainTime: 60_000,
  connections: 8,
};

test("a connection that would be kept ends with the answer that was being given when the listener stopped", async () => {
  let begun = () => undefined as void;
  const beginning = new Promise<void>((resolve) => (begun = resolve));
  const listener = listen(
    {
      address: "127.0.0.1",
      port: 0,
      limits: LIMITS,
      refuse: (status) => ({ status, headers: {}, body: "" }),
    },
    () => Promise.resolve({ status: 200, headers: {}, body: slowly() }),
  );
  async function* slowly(): AsyncGenerator<string> {
    yield "one";
    begun();
    await Bun.sleep(300);
    yield "two";
  }
  let text = "";
  const socket = createConnection(listener.port, "127.0.0.1");
  socket.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")));
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await beginning;
  const began = performance.now();
  await listener.stop(5000);
  expect(performance.now() - began).toBeLessThan(2000);
  await Bun.sleep(50);
  socket.destroy();
  expect(text).toContain("Connection: keep-alive");
  expect(text).toEndWith("3\r\ntwo\r\n0\r\n\r\n");
});
