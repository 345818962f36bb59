/** Clients that behave badly, in every way that a connection allows: each leaves at a moment that a seed decides. */
import { createConnection, type Socket } from "node:net";
import { connect } from "node:tls";

/** Where to knock, and what to show there. */
export interface Door {
  readonly port: number;
  /** The key for the clients' door. */
  readonly key?: string;
  /** The certificate for the peers' door, PEM. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How a client leaves. */
const LEAVES: readonly ((socket: Socket) => void)[] = [
  (socket) => socket.destroy(),
  (socket) => socket.resetAndDestroy(),
  // only its own side: it waits for the other's end
  (socket) => socket.end(),
];

const CHAT = { messages: [{ role: "user", content: "Go" }], temperature: 0 };
const STREAM = { ...CHAT, stream: true };

function post(door: Door, path: string, body: unknown, more = ""): string {
  const text = JSON.stringify(body);
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${door.key ?? ""}\r\n${more}Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
}

/** What a client sends; `chance` gives numbers from 0 to 1. */
const SENDS: readonly ((door: Door, chance: () => number) => string | Buffer)[] = [
  (door) => post(door, "/v1/chat/completions", STREAM),
  (door) => post(door, "/v1/chat/completions", CHAT),
  (door) => post(door, "/v1/completions", { prompt: "P:", stream: true }),
  (door) => post(door, "/v1/embeddings", { input: "Go" }),
  // three at once, and a fourth that never comes whole
  (door) =>
    post(door, "/v1/chat/completions", STREAM).repeat(2) +
    post(door, "/v1/completions", { prompt: "P:" }) +
    "POST /v1/chat",
  // more ahead of its turn than is held
  (door) => post(door, "/v1/chat/completions", STREAM) + "x".repeat(200_000),
  // a body that never comes whole, of a known length and of none
  (door) => post(door, "/v1/chat/completions", STREAM).slice(0, -5),
  (door) =>
    `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${door.key ?? ""}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"mes`,
  (door) =>
    `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${door.key ?? ""}\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n`,
  (door) => post(door, "/v1/chat/completions", STREAM, "Expect: 100-continue\r\n"),
  // nested deeper than any program's stack
  (door) =>
    post(door, "/v1/chat/completions", "").replace(/Content-Length.*/s, "") +
    `Content-Length: 200002\r\n\r\n[${"[".repeat(100_000)}${"]".repeat(100_000)}]`,
  (door) => {
    const deep = `{"messages":[],"stream":true,"deep":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    return `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${door.key ?? ""}\r\nContent-Length: ${deep.length}\r\n\r\n${deep}`;
  },
  (_, chance) => Buffer.from(Array.from({ length: 300 }, () => Math.floor(chance() * 256))),
  () => "GET / HTTP/1.1\r\nHost: x\r\nX: ",
  () => "",
];

/** Comes, sends one of the things above, reads or does not, and leaves within `stay` milliseconds, if it was not shown out before. Resolves when its connection is over. */
export function rudeClient(door: Door, chance: () => number, stay: number): Promise<void> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(chance() * list.length)] as T;
  const sent = pick(SENDS)(door, chance);
  const leave = pick(LEAVES);
  const reads = chance() < 0.7;
  // some speak no TLS where it is asked for
  const plain = !door.tls || chance() < 0.2;
  const after = chance() * stay;
  return new Promise((resolve) => {
    const to = { port: door.port, host: "127.0.0.1" };
    const socket: Socket = plain
      ? createConnection(to)
      : connect({ ...to, ...door.tls, checkServerIdentity: () => undefined });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    if (reads) socket.resume();
    else socket.pause();
    if (sent.length > 0) socket.write(sent);
    setTimeout(() => leave(socket), after);
    // whoever half-closed and never hears the other's end goes in the end
    setTimeout(() => socket.destroy(), stay + 1000);
  });
}
