/** Requests of HTTP/1.1 (RFC 9112) read from bytes: strict, bounded, and with no opinion on sockets. */

/** The start of a request. Header names are in lower case; a name that comes twice is refused where two meanings would be possible. */
export interface Head {
  readonly method: string;
  /** As written, e.g. "/v1/models?x=1": always starts with "/". */
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes of the body, "chunked", or 0. */
  readonly body: number | "chunked";
  /** Whether the client wants to use the connection again. */
  readonly keep: boolean;
  /** The client waits for "100 Continue" before it sends the body. */
  readonly expects: boolean;
}

/** Why a request can't be read; `status` is what to answer, after which nothing more can be understood on its connection. */
export class Unreadable extends Error {
  constructor(
    readonly status: 400 | 413 | 431 | 501 | 505,
    why: string,
  ) {
    super(why);
  }
}

/** Header names that decide where a request ends or who it is from: twice is an attack or a mistake (RFC 9112, 6.3 and 11.2). */
const ONCE = new Set(["content-length", "transfer-encoding", "host", "authorization", "expect"]);

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Where the head in `bytes` ends: the index after its empty line, or -1 where it is not whole yet. */
export function headEnd(bytes: Buffer): number {
  const at = bytes.indexOf("\r\n\r\n");
  return at < 0 ? -1 : at + 4;
}

/** Reads a head, its closing empty line included. @throws Unreadable */
export function parseHead(bytes: Buffer): Head {
  const lines = bytes.toString("latin1").slice(0, -4).split("\r\n");
  const [method = "", target = "", version = "", ...rest] = (lines.shift() ?? "").split(" ");
  if (rest.length > 0 || !TOKEN.test(method) || !/^\/[\x21-\x7e]*$/.test(target)) {
    throw new Unreadable(400, "the request line is malformed");
  }
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") {
    throw new Unreadable(505, "only HTTP/1.1 is spoken here");
  }
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (!TOKEN.test(name) || /[\0\r\n]/.test(value)) {
      throw new Unreadable(400, "a header is malformed");
    }
    const before = headers.get(name);
    if (before !== undefined && ONCE.has(name)) {
      throw new Unreadable(400, `the header ${name} comes twice`);
    }
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  if (version === "HTTP/1.1" && !headers.has("host")) {
    throw new Unreadable(400, "the header host is missing");
  }
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  return {
    method,
    target,
    headers,
    body: bodyOf(headers),
    keep:
      version === "HTTP/1.1" ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection),
    expects: headers.get("expect")?.toLowerCase() === "100-continue",
  };
}

function bodyOf(headers: ReadonlyMap<string, string>): number | "chunked" {
  const coding = headers.get("transfer-encoding");
  const length = headers.get("content-length");
  if (coding !== undefined) {
    if (length !== undefined) throw new Unreadable(400, "the body has two lengths");
    if (coding.toLowerCase() !== "chunked") throw new Unreadable(501, "only chunked is understood");
    return "chunked";
  }
  if (length === undefined) return 0;
  if (!/^\d{1,15}$/.test(length)) throw new Unreadable(400, "the body's length is malformed");
  return Number(length);
}

/** Longest line that announces a chunk, extensions included, and longest trailer. */
const LINE = 1024;

/** Takes the body out of a stream of bytes: `push` gives what belongs to it; `done` when it is whole and `rest` holds what came after. */
export class BodyReader {
  done: boolean;
  /** Bytes after the end of the body: the next request's. */
  rest: Buffer = Buffer.alloc(0);
  #left: number;
  readonly #chunked: boolean;
  #place: "size" | "data" | "after" | "trailer" = "size";
  #line: Buffer = Buffer.alloc(0);

  constructor(body: number | "chunked") {
    this.#chunked = body === "chunked";
    this.#left = body === "chunked" ? 0 : body;
    this.done = body === 0;
  }

  /** The pieces of the body in these bytes, as views of them. @throws Unreadable */
  push(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let from = bytes;
    while (from.length > 0 && !this.done) {
      from =
        !this.#chunked || this.#place === "data" ? this.#data(from, pieces) : this.#between(from);
    }
    if (this.done && from.length > 0) this.rest = Buffer.concat([this.rest, from]);
    return pieces;
  }

  #data(from: Buffer, pieces: Buffer[]): Buffer {
    const taken = Math.min(this.#left, from.length);
    pieces.push(from.subarray(0, taken));
    this.#left -= taken;
    if (this.#left === 0) {
      if (this.#chunked) this.#place = "after";
      else this.done = true;
    }
    return from.subarray(taken);
  }

  #between(from: Buffer): Buffer {
    const end = from.indexOf(10);
    const part = end < 0 ? from : from.subarray(0, end + 1);
    this.#line = this.#line.length === 0 ? part : Buffer.concat([this.#line, part]);
    if (this.#line.length > LINE) throw new Unreadable(400, "a chunk's line is too long");
    if (end < 0) return from.subarray(from.length);
    const line = this.#line.toString("latin1");
    this.#line = Buffer.alloc(0);
    if (!line.endsWith("\r\n")) throw new Unreadable(400, "a chunk's line is malformed");
    if (this.#place === "after") {
      if (line !== "\r\n") throw new Unreadable(400, "a chunk is longer than it said");
      this.#place = "size";
    } else if (this.#place === "trailer") {
      if (line === "\r\n") this.done = true;
    } else {
      const size = /^([0-9a-fA-F]{1,8})(?:[ \t]*;[^\r\n]*)?\r\n$/.exec(line)?.[1];
      if (size === undefined) throw new Unreadable(400, "a chunk's size is malformed");
      this.#left = Number.parseInt(size, 16);
      this.#place = this.#left === 0 ? "trailer" : "data";
    }
    return from.subarray(end + 1);
  }
}

/** Bytes put together in one place: a body that comes in pieces of a byte takes no more memory than one that comes at once. */
export class Gathered {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies a piece behind those before it. */
  add(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#bytes.length) {
      const room = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length));
      this.#bytes.copy(room, 0, 0, this.#length);
      this.#bytes = room;
    }
    this.#bytes.set(piece, this.#length);
    this.#length = length;
  }

  /** All of them; then there are none. */
  take(): Buffer {
    const whole = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.alloc(0);
    this.#length = 0;
    return whole;
  }
}

/** The reasons that status lines carry; others get an empty one, which RFC 9112 allows. */
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

/** The head of an answer. Line breaks in values can't come out as headers of their own. */
export function formatHead(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(
    ([name, value]) => `${name}: ${value.replace(/[^\x20-\x7e]/g, "?")}\r\n`,
  );
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines.join("")}\r\n`;
}
