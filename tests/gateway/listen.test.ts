/** What comes in from outside: slow, large, broken and foreign clients, and the healthy ones beside them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createConnection, type Socket } from "node:net";
import fc from "fast-check";
import { errorReply, Refusal } from "../../lib/gateway/errors.ts";
import { BodyReader, parseHead, Unreadable } from "../../lib/machine/http1.ts";
import { listen, type Incoming, type Listener, type Reply } from "../../lib/machine/listen.ts";

const LIMITS = {
  head: 2048,
  headTime: 400,
  bodyTime: 400,
  idleTime: 400,
  drainTime: 400,
  connections: 8,
};
let listener: Listener;
const left: unknown[] = [];
const holding = { bodies: 0 };

beforeAll(() => {
  listener = listen(
    {
      address: "127.0.0.1",
      port: 0,
      limits: LIMITS,
      refuse: (status, why) => errorReply(new Refusal(status, "unreadable_request", why)),
    },
    handler,
  );
});
afterAll(() => listener.stop(0));

async function handler(request: Incoming): Promise<Reply> {
  const text = (body: Reply["body"], status = 200): Reply => ({ status, headers: {}, body });
  if (request.path === "/echo") {
    try {
      return text((await request.body(100_000)).toString());
    } catch (error) {
      return text((error as Error).constructor.name, 413);
    }
  }
  if (request.path === "/refused") {
    await Bun.sleep(300);
    return text("no", 401);
  }
  if (request.path === "/stream") return text(counting(5, 10));
  if (request.path === "/broken") return text(breaking());
  if (request.path === "/flood") return text(flooding());
  if (request.path === "/endless") {
    request.signal.addEventListener("abort", () => left.push(request.signal.reason));
    return text(counting(1_000_000, 20));
  }
  if (request.path === "/late") {
    holding.bodies++;
    await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
    return text(held());
  }
  return text("hello");
}

/** A body that lets go, at its end, of what was taken before its first piece. */
async function* held(): AsyncGenerator<string> {
  try {
    yield "never read";
    await Bun.sleep(60_000);
  } finally {
    holding.bodies--;
  }
}

async function* counting(count: number, pause: number): AsyncGenerator<string> {
  for (let i = 0; i < count; i++) {
    yield `${i} `;
    await Bun.sleep(pause);
  }
}
async function* breaking(): AsyncGenerator<string> {
  yield "half of it";
  await Bun.sleep(5);
  throw new Error("the engine died");
}
let flooded = 0;
async function* flooding(): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(64 * 1024);
  for (;;) {
    flooded += piece.length;
    yield piece;
  }
}

/** A raw connection: what it said back, and when it was closed. */
function raw(
  first: string,
  more?: (socket: Socket) => void,
): Promise<{ text: string; tookMs: number }> {
  return new Promise((resolve) => {
    const began = performance.now();
    let text = "";
    const socket = createConnection(listener.port, "127.0.0.1");
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve({ text, tookMs: performance.now() - began }));
    socket.write(first);
    more?.(socket);
  });
}

function drip(piece: string, every: number): (socket: Socket) => void {
  return (socket) => {
    const timer = setInterval(() => socket.write(piece), every);
    socket.on("close", () => clearInterval(timer));
  };
}

const url = (path: string) => `http://127.0.0.1:${listener.port}${path}`;

test("plain requests, again on the same connection, with bodies of both kinds", async () => {
  expect(await (await fetch(url("/"))).text()).toBe("hello");
  expect(await (await fetch(url("/echo"), { method: "POST", body: "äöü" })).text()).toBe("äöü");
  const pieces = new ReadableStream({
    start(controller) {
      for (const one of ["a", "b", "c"]) controller.enqueue(new TextEncoder().encode(one));
      controller.close();
    },
  });
  expect(await (await fetch(url("/echo"), { method: "POST", body: pieces })).text()).toBe("abc");
  const both = await raw(
    "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  );
  expect(both.text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  expect(both.text).toEndWith("0\r\n\r\n");
});

test("a client that drips its head is told so and closed", async () => {
  const { text, tookMs } = await raw("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", drip("a", 20));
  expect(text).toStartWith("HTTP/1.1 408 ");
  expect(text).toContain('"code":"unreadable_request"');
  expect(tookMs).toBeLessThan(2500);
});

test("a client that says nothing is closed", async () => {
  const { text, tookMs } = await raw("");
  expect(text).toBe("");
  expect(tookMs).toBeLessThan(2500);
});

test("a client that drips its body is given up", async () => {
  const { text, tookMs } = await raw(
    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n",
    drip("a", 20),
  );
  expect(text).toContain("Slow");
  expect(tookMs).toBeLessThan(3500);
});

test("headers without end are refused", async () => {
  const { text } = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(100_000)}\r\n\r\n`);
  expect(text).toStartWith("HTTP/1.1 431 ");
});

test("a large body is refused before it is read, whether it says its size or not", async () => {
  const said = await raw(
    `POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n${"a".repeat(1000)}`,
  );
  expect(said.text).toContain("TooLarge");
  const chunk = `${(50_000).toString(16)}\r\n${"a".repeat(50_000)}\r\n`;
  const unsaid = await raw(
    "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    (socket) => {
      const timer = setInterval(() => socket.write(chunk), 5);
      socket.on("close", () => clearInterval(timer));
    },
  );
  expect(unsaid.text).toContain("TooLarge");
});

test("a body that nobody wants is not held", async () => {
  let sent = 0;
  let sentAtReply: number | undefined;
  const { text } = await raw(
    "POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n",
    (socket) => {
      const piece = Buffer.alloc(1024 * 1024);
      const push = () => {
        if (socket.destroyed || sent >= 90) return;
        sent++;
        socket.write(piece, push);
      };
      push();
      socket.once("data", () => (sentAtReply = sent));
    },
  );
  expect(text).toStartWith("HTTP/1.1 401 ");
  // what the system itself holds for a connection is a few megabytes
  expect(sentAtReply).toBeLessThan(20);
});

test("an answer that breaks can't be taken for a whole one", async () => {
  const { text } = await raw("GET /broken HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(text).toContain("half of it");
  expect(text).not.toContain("\r\n0\r\n\r\n");
});

test("a client that leaves is noticed", async () => {
  const controller = new AbortController();
  const response = await fetch(url("/endless"), { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  const until = Date.now() + 2000;
  while (left.length === 0 && Date.now() < until) await Bun.sleep(10);
  expect(left).toHaveLength(1);
});

test("an answer that comes after its client has left lets go of what it holds", async () => {
  const controller = new AbortController();
  const asked = fetch(url("/late"), { signal: controller.signal }).catch(() => undefined);
  await Bun.sleep(50);
  controller.abort();
  await asked;
  const until = Date.now() + 2000;
  while (holding.bodies !== 0 && Date.now() < until) await Bun.sleep(10);
  expect(holding.bodies).toBe(0);
});

test("a client that does not read holds up nothing but itself, and is closed", async () => {
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const socket = createConnection(listener.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.pause();
    socket.write("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    const check = setInterval(() => {
      if (listener.connections() > 0) return;
      clearInterval(check);
      socket.destroy();
      resolve();
    }, 20);
  });
  expect(performance.now() - began).toBeLessThan(4000);
  expect(flooded).toBeLessThan(32 * 1024 * 1024);
});

test("more connections than allowed are closed at once, and places come free again", async () => {
  const sockets = Array.from({ length: LIMITS.connections }, () =>
    createConnection(listener.port, "127.0.0.1"),
  );
  for (const socket of sockets) socket.on("error", () => undefined);
  while (listener.connections() < LIMITS.connections) await Bun.sleep(5);
  expect((await raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).text).toBe("");
  for (const socket of sockets) socket.destroy();
  while (listener.connections() > 0) await Bun.sleep(5);
  expect(await (await fetch(url("/"))).text()).toBe("hello");
});

const MALFORMED = [
  "GET / HTTP/1.1\r\n\r\n",
  "GET /\r\nHost: x\r\n\r\n",
  "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
  "G ET / HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
  "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
  "\0\x01\x02\r\n\r\n",
];
test("requests that could mean two things, or none, are refused", async () => {
  for (let at = 0; at < MALFORMED.length; at += 5) {
    for (const { text } of await Promise.all(
      MALFORMED.slice(at, at + 5).map((request) => raw(request)),
    )) {
      expect(text).toMatch(/^HTTP\/1\.1 (400|501|505) /);
      expect(text).toContain('"error":{');
    }
  }
});

test("any bytes as a head are read or refused, and never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        parseHead(Buffer.concat([bytes, Buffer.from("\r\n\r\n")]));
      } catch (error) {
        expect(error).toBeInstanceOf(Unreadable);
      }
    }),
  );
});

test("a chunked body is the same however its bytes are split, and what follows it is kept", () => {
  const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      pieces,
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      fc.uint8Array({ maxLength: 20 }),
      (parts, sizes, after) => {
        const coded = Buffer.concat([
          ...parts.flatMap((part) => [
            Buffer.from(`${part.length.toString(16)}\r\n`),
            part,
            Buffer.from("\r\n"),
          ]),
          Buffer.from("0\r\n\r\n"),
          after,
        ]);
        const reader = new BodyReader("chunked");
        const found: Buffer[] = [];
        for (let at = 0, turn = 0; at < coded.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          found.push(...reader.push(coded.subarray(at, at + size)));
          at += size;
          if (reader.done) {
            reader.rest = Buffer.concat([reader.rest, coded.subarray(at)]);
            break;
          }
        }
        expect(Buffer.concat(found)).toEqual(Buffer.concat(parts));
        expect(reader.done).toBe(true);
        expect(reader.rest).toEqual(Buffer.from(after));
      },
    ),
  );
});

test("an address that means all of them is refused", () => {
  const options = {
    port: 0,
    limits: LIMITS,
    refuse: () => ({ status: 400, headers: {}, body: "" }),
  };
  for (const address of ["0.0.0.0", "::", ""]) {
    expect(() => listen({ ...options, address }, handler)).toThrow(
      expect.objectContaining({ id: "wildcard-address" }),
    );
  }
  expect(() => listen({ ...options, address: "127.0.0.1", port: listener.port }, handler)).toThrow(
    expect.objectContaining({ id: "port-taken" }),
  );
});
