/** Requests don't share a connection: a server that ends idle ones must not end a request. */
import { createServer } from "node:http";
import { expect, test } from "bun:test";
import { thisMachine } from "../../lib/machine/machine.ts";

test("each request has a connection of its own", async () => {
  const ports = new Set<number | undefined>();
  const server = createServer((request, response) => {
    ports.add(request.socket.remotePort);
    response.end("x");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const { fetch } = thisMachine();
    for (let n = 0; n < 3; n++) await (await fetch(`http://127.0.0.1:${address.port}/`)).text();
    expect(ports.size).toBe(3);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
