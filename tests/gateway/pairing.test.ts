/** Two gateways over mutual TLS: only the paired certificate comes in, and a hostile peer harms nobody. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type TLSSocket } from "node:tls";
import { makeAuthority, type Authority, type Issued } from "../support/certificates.ts";
import { serveScripted, type EngineServer } from "../support/engine_server.ts";
import {
  freePort,
  localEngine,
  startGateway,
  worldFolder,
  type RunningGateway,
} from "../support/gateway_world.ts";
import { readAnswer } from "../support/read_answer.ts";
import type { Script } from "../support/scripted_engine.ts";

const SCRIPT: Script = { tokens: Array.from({ length: 120 }, (_, at) => ` word${at}`) };
const TEXT = SCRIPT.tokens.join("");
const place = worldFolder();
let authority: Authority;
let phantomId: Issued;
let shadowId: Issued;
/** On the list, but out of date, or of an authority that nobody believes. */
let lateId: Issued;
let foreignId: Issued;
let phantomEngine: EngineServer;
let shadowEngine: EngineServer;
let phantom: RunningGateway;
let shadow: RunningGateway;
const started: RunningGateway[] = [];

function pairing(own: Issued) {
  return { cert: own.cert, key: own.key, ca: authority.ca };
}
async function gateway(document: Record<string, unknown>, wait = true): Promise<RunningGateway> {
  const one = await startGateway(place.folder, document, wait);
  started.push(one);
  return one;
}

beforeAll(async () => {
  authority = makeAuthority(place.folder);
  phantomId = authority.issue("phantom");
  shadowId = authority.issue("shadow");
  lateId = authority.issue("late", -1);
  foreignId = makeAuthority(place.folder, "foreign").issue("shadow");
  phantomEngine = serveScripted(place.folder, SCRIPT, [], 2);
  shadowEngine = serveScripted(
    place.folder,
    SCRIPT,
    Array.from({ length: 20 }, () => ({ pieces: [400] })),
    15,
  );
  phantom = await gateway({
    host: "phantom",
    pairing: pairing(phantomId),
    peers: {
      address: "127.0.0.1",
      port: 0,
      allow: [shadowId, lateId, foreignId].map((one) => one.fingerprint),
    },
    engines: [localEngine("phantom", phantomEngine)],
  });
  shadow = await gateway({
    host: "shadow",
    pairing: pairing(shadowId),
    engines: [
      localEngine("shadow", shadowEngine),
      {
        name: "phantom",
        kind: "peer",
        url: `https://127.0.0.1:${phantom.peersPort}`,
        fingerprint: phantomId.fingerprint,
      },
    ],
  });
});
afterAll(async () => {
  await Promise.all(started.map((one) => one.stop()));
  shadowEngine.kill();
  phantomEngine.kill();
  place.dispose();
});

const CHAT = { messages: [{ role: "user", content: "Go" }], stream: true, temperature: 0 };
const ask = (at: RunningGateway, body: Record<string, unknown> = CHAT) =>
  readAnswer(at.post("/v1/chat/completions", body));

async function until(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await what())) {
    if (Date.now() > end) throw new Error("it did not come about");
    await Bun.sleep(30);
  }
}
async function whyOf(at: RunningGateway, name: string): Promise<string | undefined> {
  const { engines } = (await at.status()) as { engines: { name: string; why?: string }[] };
  return engines.find((one) => one.name === name)?.why;
}
async function stateOf(at: RunningGateway, name: string): Promise<string | undefined> {
  const { engines } = (await at.status()) as { engines: { name: string; state: string }[] };
  return engines.find((one) => one.name === name)?.state;
}

test("an answer is carried over to the peer when the local engine dies, and the local one serves again when it is calm", async () => {
  for (const name of ["shadow", "phantom"])
    await until(async () => (await stateOf(shadow, name)) === "up");
  const asked = ask(shadow);
  await until(async () => shadowEngine.asked.length > 0);
  await Bun.sleep(500);
  shadowEngine.kill();
  const answer = await asked;
  expect(answer).toMatchObject({
    error: undefined,
    text: TEXT,
    whole: true,
    served: { served_by: ["shadow", "phantom"], carried_over: 1 },
  });
  const meanwhile = await ask(shadow);
  expect(meanwhile).toMatchObject({
    text: TEXT,
    served: { served_by: ["phantom"], carried_over: 0 },
  });
  shadowEngine.revive();
  const back = performance.now();
  await until(async () => (await stateOf(shadow, "shadow")) === "up");
  expect(performance.now() - back).toBeGreaterThan(2500);
  expect((await ask(shadow)).served?.served_by).toEqual(["shadow"]);
}, 40_000);

/** Asks the peers' port with a certificate, or none. */
async function knock(identity: Issued | undefined, ca = authority.ca): Promise<string> {
  try {
    const response = await fetch(`https://127.0.0.1:${phantom.peersPort}/shelter/health`, {
      tls: {
        ca: readFileSync(ca, "utf8"),
        ...(identity
          ? { cert: readFileSync(identity.cert, "utf8"), key: readFileSync(identity.key, "utf8") }
          : {}),
      },
    });
    return `${response.status} ${await response.text()}`;
  } catch {
    return "refused";
  }
}

test("only the paired certificate comes in", async () => {
  expect(await knock(shadowId)).toStartWith('200 {"schema":1,"engine":"up"');
  expect(await knock(undefined)).toBe("refused");
  expect(await knock(authority.issue("third"))).toBe("refused");
  expect(await knock(lateId)).toBe("refused");
  expect(await knock(phantomId)).toBe("refused");
  expect(await knock(foreignId)).toBe("refused");
  const plain = await fetch(`http://127.0.0.1:${phantom.peersPort}/shelter/health`).catch(
    () => "refused",
  );
  expect(plain).toBe("refused");
});

test("a peer with another certificate than the paired one is not asked", async () => {
  const wrong = await gateway(
    {
      pairing: pairing(shadowId),
      engines: [
        {
          name: "phantom",
          kind: "peer",
          url: `https://127.0.0.1:${phantom.peersPort}`,
          fingerprint: shadowId.fingerprint,
        },
      ],
    },
    false,
  );
  await until(async () => (await stateOf(wrong, "phantom")) === "down");
  expect(await whyOf(wrong, "phantom")).toBe("its certificate is not the paired one");
  expect(phantomEngine.asked.every((one) => one.authorization === undefined)).toBe(true);
});

test("a peer whose certificate has expired, or that is not there, is told apart", async () => {
  const late = await gateway({
    host: "late",
    pairing: pairing(lateId),
    peers: { address: "127.0.0.1", port: 0, allow: [shadowId.fingerprint] },
    engines: [localEngine("phantom", phantomEngine)],
  });
  const closed = await freePort();
  const asking = await gateway(
    {
      pairing: pairing(shadowId),
      engines: [
        ["late", late.peersPort, lateId] as const,
        ["gone", closed, phantomId] as const,
      ].map(([name, port, { fingerprint }]) => ({
        ...{ name, kind: "peer", url: `https://127.0.0.1:${port}`, fingerprint },
      })),
    },
    false,
  );
  await until(async () => (await stateOf(asking, "late")) === "down");
  await until(async () => (await stateOf(asking, "gone")) === "down");
  expect([await whyOf(asking, "late"), await whyOf(asking, "gone")]).toEqual([
    "its certificate has expired",
    "unreachable",
  ]);
});

test("a peer is asked for its own engine, and passes nothing on", async () => {
  const circle = await freePort();
  const one = await gateway(
    {
      host: "one",
      pairing: pairing(phantomId),
      peers: { address: "127.0.0.1", port: circle, allow: [phantomId.fingerprint] },
      engines: [
        {
          name: "itself",
          kind: "peer",
          url: `https://127.0.0.1:${circle}`,
          fingerprint: phantomId.fingerprint,
        },
      ],
      limits: { outageTime: 300 },
    },
    false,
  );
  const answer = await ask(one, { ...CHAT, stream: false });
  expect(answer.status).toBe(503);
  expect(answer.error).toMatchObject({ code: "no_engine" });
});

const OK = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const event = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }], id: "x", created: 1, model: "m" })}\n\n`;
/** What a hostile peer sends to a question: [what it is, how it does it]. */
const HOSTILE: readonly (readonly [string, (socket: TLSSocket) => void])[] = [
  ["closes at once", (socket) => socket.destroy()],
  ["sends no HTTP", (socket) => socket.end("\0\0\0 nonsense\r\n\r\n")],
  ["sends headers without end", (socket) => flood(socket, `${OK}X: `, "a".repeat(65_536))],
  ["sends a truncated stream", (socket) => socket.end(`${OK}\r\n${event("x").slice(0, 30)}`)],
  ["ends a stream without its end", (socket) => socket.end(`${OK}\r\n${event("")}`)],
  ["sends an event without end", (socket) => flood(socket, `${OK}\r\ndata: `, "a".repeat(65_536))],
  [
    "sends events without end that say nothing",
    (socket) => flood(socket, `${OK}\r\n`, event("").repeat(300)),
  ],
  ["sends what is no JSON", (socket) => socket.end(`${OK}\r\ndata: {"choices":[{]}\n\n`)],
  ["sends JSON of another kind", (socket) => socket.end(`${OK}\r\ndata: [[[]]]\n\n`)],
  [
    "sends bytes that are no text",
    (socket) =>
      socket.end(
        Buffer.concat([Buffer.from(`${OK}\r\ndata: `), Buffer.from([0xff, 0xfe, 0x80, 10, 10])]),
      ),
  ],
  [
    "sends us elsewhere",
    (socket) =>
      socket.end(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
      ),
  ],
  [
    "compresses a bomb",
    (socket) =>
      socket.end(
        `${OK}Content-Encoding: gzip\r\n\r\n${Buffer.from(Bun.gzipSync(Buffer.alloc(30_000_000))).toString("latin1")}`,
        "latin1",
      ),
  ],
];

function flood(socket: TLSSocket, first: string, piece: string): void {
  socket.write(first);
  const push = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", push);
  push();
}

for (const [what, attack] of HOSTILE) {
  test(`a peer that ${what} is not believed, and the healthy engine answers`, async () => {
    const hostile = createServer(
      {
        cert: readFileSync(phantomId.cert),
        key: readFileSync(phantomId.key),
        ca: readFileSync(authority.ca),
        requestCert: true,
      },
      (socket) => {
        socket.on("error", () => undefined);
        let seen = "";
        socket.on("data", (bytes: Buffer) => {
          const before = seen;
          seen += bytes.toString("latin1");
          if (seen.startsWith("GET"))
            socket.end('HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"engine":"up"}');
          else if (seen.includes("\r\n\r\n") && !before.includes("\r\n\r\n")) attack(socket);
        });
      },
    );
    await new Promise<void>((resolve) => hostile.listen(0, "127.0.0.1", resolve));
    const { port } = hostile.address() as { port: number };
    const host = await gateway(
      {
        pairing: pairing(shadowId),
        engines: [
          {
            name: "phantom",
            kind: "peer",
            url: `https://127.0.0.1:${port}`,
            fingerprint: phantomId.fingerprint,
          },
          localEngine("shadow", phantomEngine),
        ],
      },
      false,
    );
    try {
      await until(
        async () =>
          (await stateOf(host, "phantom")) === "up" && (await stateOf(host, "shadow")) === "up",
      );
      const before = process.memoryUsage().rss;
      const answer = await ask(host);
      expect(answer).toMatchObject({ error: undefined, text: TEXT, whole: true });
      expect(answer.served?.served_by.at(-1)).toBe("shadow");
      expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
    } finally {
      hostile.close();
      await host.stop();
    }
  }, 60_000);
}
