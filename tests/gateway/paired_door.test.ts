/** The peers' door, where a connection has to say who it is: nobody holds a place there without doing so. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { connect } from "node:tls";
import { listen, type Listener } from "../../lib/machine/listen.ts";
import { makeAuthority, type Issued } from "../support/certificates.ts";
import { worldFolder } from "../support/gateway_world.ts";

const LIMITS = {
  head: 2048,
  headTime: 400,
  bodyTime: 400,
  idleTime: 400,
  drainTime: 400,
  connections: 4,
};
const place = worldFolder();
const read = (path: string) => readFileSync(path, "utf8");
let ca: string;
let own: Issued;
let paired: Issued;
const listeners: Listener[] = [];

beforeAll(() => {
  const authority = makeAuthority(place.folder);
  ca = read(authority.ca);
  [own, paired] = [authority.issue("own"), authority.issue("paired")];
});
afterEach(() => Promise.all(listeners.splice(0).map((one) => one.stop(0))));
afterAll(() => place.dispose());

function door(headTime = LIMITS.headTime): Listener {
  const reply = (status: number) => ({ status, headers: {}, body: "hello" });
  const listener = listen(
    {
      address: "127.0.0.1",
      port: 0,
      limits: { ...LIMITS, headTime },
      pairing: { cert: read(own.cert), key: read(own.key), ca, allow: [paired.fingerprint] },
      refuse: reply,
    },
    () => Promise.resolve(reply(200)),
  );
  listeners.push(listener);
  return listener;
}

/** Comes and says nothing. `over` resolves to the milliseconds after which it was closed. */
function silent({ port }: Listener): { readonly socket: Socket; readonly over: Promise<number> } {
  const began = performance.now();
  const socket = createConnection(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume();
  const over = new Promise<number>((resolve) =>
    socket.on("close", () => resolve(performance.now() - began)),
  );
  return { socket, over };
}

/** The status that the paired one gets; undefined where it is shown out. */
function knock({ port }: Listener): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({
      port,
      host: "127.0.0.1",
      ca,
      cert: read(paired.cert),
      key: read(paired.key),
      checkServerIdentity: () => undefined,
    });
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
    socket.on("data", (bytes: Buffer) => {
      resolve(bytes.toString("latin1").split(" ")[1]);
      socket.destroy();
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  });
}

test("who does not say who it is, is closed in the time that a head may take", async () => {
  const listener = door();
  const waits = await Promise.all([silent(listener), silent(listener)].map(({ over }) => over));
  for (const wait of waits) {
    expect(wait).toBeGreaterThan(300);
    expect(wait).toBeLessThan(2000);
  }
});

test("who has said it may stay longer than that", async () => {
  const listener = door();
  expect(await knock(listener)).toBe("200");
  await Bun.sleep(LIMITS.headTime + 200);
  expect(await knock(listener)).toBe("200");
});

test("those who say nothing count among the connections, and the oldest of them makes room: they can't shut the paired one out", async () => {
  const listener = door(60_000);
  const crowd = Array.from({ length: LIMITS.connections }, () => silent(listener));
  await Bun.sleep(200);
  expect(await knock(listener)).toBe("200");
  expect(await crowd[0]?.over).toBeLessThan(2000);
  const open = await Promise.race([crowd.at(-1)?.over, Bun.sleep(100).then(() => "open")]);
  expect(open).toBe("open");
  for (const { socket } of crowd) socket.destroy();
  await Bun.sleep(200);
  expect(await knock(listener)).toBe("200");
});

test("a door that closes does not leave them standing there", async () => {
  const listener = door(60_000);
  const { over } = silent(listener);
  await Bun.sleep(200);
  await listener.stop(0);
  expect(await over).toBeLessThan(2000);
});
