/** One connection of a client: reads requests, writes answers, and lets neither side wait or send without end. */
import {
  BodyReader,
  formatHead,
  Gathered,
  headEnd,
  parseHead,
  Unreadable,
  type Head,
} from "./http1.ts";
import type { Handler, Incoming, ListenOptions, Reply } from "./listen.ts";

/** What a connection needs of a socket. */
export interface Wire {
  /** Gives the bytes that it took; the rest must be given again after `drained`. */
  write(data: Uint8Array): number;
  /** Closes once everything is written. */
  end(): unknown;
  /** Closes at once. */
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** The body is larger than may be. */
export class TooLarge extends Error {}
/** The client takes too long to send its request. */
export class Slow extends Error {}
/** The client has left. */
export class Left extends Error {}

/** Bytes of a body that nobody has asked for yet: then the socket is paused. Bytes of further requests ahead of their turn: then it is cut. */
const AHEAD = 64 * 1024;
/** How long bytes are read and thrown away after a refusal, so that the client gets to read it, in milliseconds. */
const LINGER = 1000;

/** One connection. */
export class Connection {
  /** Resolves when it is over. */
  readonly closed: Promise<void>;
  #over: () => void = () => undefined;
  #state: "head" | "request" | "deaf" | "over" = "head";
  #bytes: Buffer = Buffer.alloc(0);
  #body: BodyReader | undefined;
  #held = new Gathered();
  #paused = false;
  #wake: (() => void) | undefined;
  #writable: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #gone = new AbortController();
  #last = false;

  constructor(
    readonly wire: Wire,
    readonly peer: string | undefined,
    readonly handler: Handler,
    readonly options: ListenOptions,
  ) {
    this.closed = new Promise((resolve) => (this.#over = resolve));
    this.#deadline(options.limits.headTime);
  }

  /** Bytes from the client. */
  take(bytes: Uint8Array): void {
    if (this.#state === "deaf" || this.#state === "over") return;
    if (this.#state === "request") {
      this.#takeBody(Buffer.from(bytes));
      return;
    }
    // the first byte of a further request starts the time that its head may take
    if (this.#bytes.length === 0) this.#deadline(this.options.limits.headTime);
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    this.#readHead();
  }

  /** The socket can take more. */
  drained(): void {
    this.#writable?.();
  }

  /** The client closed its side, or the connection broke. A client that half-closes has left: an answer could not be told from a broken one. */
  left(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    clearTimeout(this.#timer);
    this.#gone.abort(new Left("the client has left"));
    this.#wake?.();
    this.#writable?.();
    this.#over();
  }

  /** Closes after the answer that is being given, or now where there is none. */
  lastRequest(): void {
    this.#last = true;
    if (this.#state === "head") this.cut();
  }

  /** Closes at once. */
  cut(): void {
    this.left();
    this.wire.terminate();
  }

  #deadline(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#state === "head" && this.#bytes.length > 0) {
        void this.#refuse(408, "the request's head took too long");
      } else {
        this.cut();
      }
    }, milliseconds);
  }

  #readHead(): void {
    const end = headEnd(this.#bytes);
    if ((end < 0 ? this.#bytes.length : end) > this.options.limits.head) {
      void this.#refuse(431, "the request's headers are too large");
      return;
    }
    if (end < 0) return;
    let head: Head;
    try {
      head = parseHead(this.#bytes.subarray(0, end));
    } catch (error) {
      void this.#refuseFor(error);
      return;
    }
    const rest = this.#bytes.subarray(end);
    this.#bytes = Buffer.alloc(0);
    clearTimeout(this.#timer);
    this.#state = "request";
    this.#held = new Gathered();
    this.#body = new BodyReader(head.body);
    if (rest.length > 0) this.#takeBody(rest);
    void this.#answer(head);
  }

  #takeBody(bytes: Buffer): void {
    if (!this.#body || this.#body.done) {
      // a request ahead of its turn waits. Reading no further would hide that the client has left, and its answer would be worked on for nobody
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      if (this.#bytes.length > AHEAD) this.cut();
      return;
    }
    try {
      for (const piece of this.#body.push(bytes)) this.#held.add(piece);
    } catch (error) {
      this.#gone.abort(error);
      void this.#refuseFor(error);
      return;
    }
    if (this.#body.done) {
      this.#bytes = this.#body.rest;
    } else if (!this.#wake && this.#held.length > AHEAD) {
      this.#pause();
    }
    this.#wake?.();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.wire.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.wire.resume();
  }

  async #readBody(
    head: Head,
    limit: number,
    came: ((bytes: number) => void) | undefined,
  ): Promise<Buffer> {
    if (typeof head.body === "number" && head.body > limit)
      throw new TooLarge("the body is too large");
    if (head.expects && !this.#body?.done)
      this.wire.write(Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake?.();
    }, this.options.limits.bodyTime);
    try {
      while (this.#body && !this.#body.done) {
        if (this.#held.length > limit) throw new TooLarge("the body is too large");
        came?.(this.#held.length);
        if (late) throw new Slow("the body took too long");
        this.#gone.signal.throwIfAborted();
        const more = new Promise<void>((resolve) => (this.#wake = resolve));
        this.#resume();
        await more;
      }
      this.#gone.signal.throwIfAborted();
      if (this.#held.length > limit) throw new TooLarge("the body is too large");
      came?.(this.#held.length);
      return this.#held.take();
    } finally {
      clearTimeout(timer);
      this.#wake = undefined;
      this.#held = new Gathered(); // where it was refused nobody needs what came
    }
  }

  async #answer(head: Head): Promise<void> {
    if (this.#state !== "request") return; // what came with its head was refused already
    const gone = new AbortController();
    this.#gone = gone;
    const over = Promise.withResolvers<void>();
    const question = head.target.indexOf("?");
    const request: Incoming = {
      method: head.method,
      path: question < 0 ? head.target : head.target.slice(0, question),
      headers: head.headers,
      length: head.body === "chunked" ? undefined : head.body,
      ...(this.peer === undefined ? {} : { peer: this.peer }),
      signal: gone.signal,
      over: over.promise,
      body: (limit, came) => this.#readBody(head, limit, came),
    };
    try {
      const reply = await this.handler(request);
      if (gone.signal.aborted) {
        await unread(reply);
        return;
      }
      // a body that was not read to its end can't be told from the next request
      const keep = head.keep && this.#body?.done === true && !this.#last;
      await this.#write(reply, keep, head.method === "HEAD");
      if (gone.signal.aborted) return;
      // it may have become the last one while it was given
      if (!keep || this.#last) {
        await this.#hangUp(this.#body?.done !== true);
        return;
      }
    } catch {
      this.cut(); // what failed was counted by the handler; a part must not pass for the whole
      return;
    } finally {
      over.resolve();
    }
    this.#state = "head";
    this.#deadline(this.options.limits.idleTime);
    this.#resume();
    if (this.#bytes.length > 0) {
      this.#deadline(this.options.limits.headTime);
      this.#readHead();
    }
  }

  async #write(reply: Reply, keep: boolean, headOnly: boolean): Promise<void> {
    const whole = typeof reply.body === "string" ? Buffer.from(reply.body) : undefined;
    const head = formatHead(reply.status, {
      ...reply.headers,
      ...(whole ? { "Content-Length": String(whole.length) } : { "Transfer-Encoding": "chunked" }),
      Connection: keep ? "keep-alive" : "close",
    });
    if (whole || typeof reply.body === "string") {
      await this.#send(
        Buffer.concat([Buffer.from(head), headOnly || !whole ? Buffer.alloc(0) : whole]),
      );
      return;
    }
    let before: Buffer = Buffer.from(head); // goes out with the first piece, in one packet
    for await (const piece of reply.body) {
      const bytes = typeof piece === "string" ? Buffer.from(piece) : piece;
      if (bytes.length === 0) continue;
      const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
      await this.#send(Buffer.concat([before, size, bytes, CRLF]));
      before = Buffer.alloc(0);
      this.#gone.signal.throwIfAborted();
    }
    await this.#send(Buffer.concat([before, Buffer.from("0\r\n\r\n")]));
  }

  async #send(bytes: Uint8Array): Promise<void> {
    let left = bytes;
    while (left.length > 0) {
      if (this.#state === "over") throw new Left("the client has left");
      const written = this.wire.write(left);
      if (written < 0) throw new Left("the client has left");
      left = left.subarray(written);
      if (left.length === 0) return;
      const drained = new Promise<void>((resolve) => (this.#writable = resolve));
      const timer = setTimeout(() => this.cut(), this.options.limits.drainTime);
      await drained;
      clearTimeout(timer);
      this.#writable = undefined;
    }
  }

  async #refuseFor(error: unknown): Promise<void> {
    if (error instanceof Unreadable) await this.#refuse(error.status, error.message);
    else this.cut();
  }

  async #refuse(status: number, why: string): Promise<void> {
    if (this.#state === "deaf" || this.#state === "over") return;
    this.#state = "deaf";
    clearTimeout(this.#timer);
    try {
      await this.#write(this.options.refuse(status, why), false, false);
      await this.#hangUp(true);
    } catch {
      this.cut(); // it does not even read its refusal
    }
  }

  /** Closing while the client still sends would make its system throw the answer away (RFC 9112, 9.6): listen on for a moment. */
  async #hangUp(sending: boolean): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "deaf";
    if (sending) {
      this.#resume();
      await Promise.race([this.closed, Bun.sleep(LINGER)]);
    }
    this.wire.end();
    this.left();
  }
}

/** Ends a body that nobody will read. A generator that was never begun would skip its own end, and keep what it holds. */
async function unread({ body }: Reply): Promise<void> {
  if (typeof body === "string") return;
  const pieces = body[Symbol.asyncIterator]();
  await pieces.next();
  await pieces.return?.();
}

const CRLF = Buffer.from("\r\n");
