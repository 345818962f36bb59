/** A client that leaves stops the engine's work: whatever it asked for, wherever the engine was, however it left, and at both doors. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { connect } from "node:tls";
import { makeAuthority } from "../support/certificates.ts";
import {
  freePort,
  localEngine,
  startGateway,
  worldFolder,
  type RunningGateway,
} from "../support/gateway_world.ts";
import { streamText } from "../support/scripted_engine.ts";

/** Where the engine stops saying anything. */
type Silence = "before its first word" | "amid its answer";

const place = worldFolder();
let silence: Silence | "never" = "never";
/** Questions that engines are at work on, by engine. */
const working = new Map<string, number>();
const servers: { stop(force: boolean): unknown }[] = [];
let gateway: RunningGateway;
let knock: () => Socket;

/** An engine that works on a question until it is told to stop. */
function engineThatWorks(name: string) {
  const keyFile = join(place.folder, `${name}.key`);
  writeFileSync(keyFile, "key\n", { mode: 0o600 });
  working.set(name, 0);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/health") return Response.json({ status: "ok" });
      if (request.method === "GET") return Response.json({ data: [] });
      const body = (await request.json()) as Record<string, unknown>;
      if (body["prompt"] === "Hi") return Response.json({ choices: [{ text: "x" }] });
      working.set(name, (working.get(name) ?? 0) + 1);
      request.signal.addEventListener("abort", () => {
        working.set(name, (working.get(name) ?? 0) - 1);
      });
      if (silence === "before its first word") return new Promise<Response>(() => undefined);
      const streams = body["stream"] === true;
      const text = streams ? streamText({ tokens: ["Hello", " there", "."] }, body) : `{"data":[1,`;
      const part = new TextEncoder().encode(text.slice(0, streams ? 1500 : 9));
      return new Response(new ReadableStream({ start: (to) => to.enqueue(part) }), {
        headers: { "Content-Type": streams ? "text/event-stream" : "application/json" },
      });
    },
  });
  servers.push(server);
  return localEngine(name, { url: `http://127.0.0.1:${server.port}`, keyFile });
}

beforeAll(async () => {
  const authority = makeAuthority(place.folder);
  const [own, paired] = [authority.issue("own"), authority.issue("paired")];
  const peersPort = await freePort();
  gateway = await startGateway(place.folder, {
    warm: true,
    pairing: { cert: own.cert, key: own.key, ca: authority.ca },
    peers: { address: "127.0.0.1", port: peersPort, allow: [paired.fingerprint] },
    engines: [engineThatWorks("first"), engineThatWorks("second")],
  });
  const read = (path: string) => readFileSync(path, "utf8");
  const identity = { cert: read(paired.cert), key: read(paired.key), ca: read(authority.ca) };
  knock = () =>
    connect({
      ...{ port: peersPort, host: "127.0.0.1", ...identity },
      checkServerIdentity: () => undefined,
    });
  await until(async () => (await states()).every(({ state }) => state === "up"));
});
afterAll(async () => {
  await gateway.stop();
  for (const server of servers) void server.stop(true);
  place.dispose();
});

async function states(): Promise<{ state: string; answering: number }[]> {
  return (await gateway.status())["engines"] as { state: string; answering: number }[];
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 4000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error(`it did not come about: ${JSON.stringify([...working])}`);
    await Bun.sleep(10);
  }
}

function wish(path: string, body: object): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

const CHAT = { messages: [{ role: "user", content: "Go" }] };
const WISHES: Readonly<Record<string, () => string>> = {
  "a stream": () => wish("/v1/chat/completions", { ...CHAT, stream: true }),
  "a whole answer": () => wish("/v1/chat/completions", CHAT),
  "an embedding": () => wish("/v1/embeddings", { input: "Go" }),
};
const LEAVES: Readonly<Record<string, (socket: Socket) => unknown>> = {
  "closes its side": (socket) => socket.end(),
  goes: (socket) => socket.destroy(),
  resets: (socket) => socket.resetAndDestroy(),
  // a further request that nobody reads yet must not hide it
  "goes after it has sent more than is held": (socket) => socket.end("x".repeat(500_000)),
};
const DOORS: Readonly<Record<string, () => Socket>> = {
  client: () => createConnection(Number(new URL(gateway.url).port), "127.0.0.1"),
  peer: () => knock(),
};

const at = (name: string) => working.get(name) ?? 0;

for (const [who, come] of Object.entries(DOORS)) {
  for (const [what, ask] of Object.entries(WISHES)) {
    for (const where of ["before its first word", "amid its answer"] as const) {
      test(`a ${who} that asked for ${what}, ${where}`, async () => {
        silence = where;
        for (const leave of Object.values(LEAVES)) {
          const socket = come();
          socket.on("error", () => undefined);
          socket.resume();
          socket.write(ask());
          await until(() => at("first") === 1);
          await Bun.sleep(30);
          leave(socket);
          await until(() => at("first") === 0 && at("second") === 0);
          await until(async () => (await states()).every(({ answering }) => answering === 0));
          socket.destroy();
        }
        expect(gateway.notes).toEqual([]);
      }, 20_000);
    }
  }
}
