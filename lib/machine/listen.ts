/** Listening on one named address: HTTP/1.1 with every size and every wait bounded, over TLS with paired certificates where asked. */
import { X509Certificate } from "node:crypto";
import { ShelterError } from "../errors.ts";
import { Connection, type Wire } from "./connection.ts";

/** How much of everything a listener takes. Times are milliseconds. */
export interface ListenLimits {
  /** Bytes of request line and headers together. */
  readonly head: number;
  /** From a connection's first byte (or its opening) to the end of the head. */
  readonly headTime: number;
  /** From the end of the head to the end of the body. */
  readonly bodyTime: number;
  /** How long a connection may wait for its next request. */
  readonly idleTime: number;
  /** How long a client may refuse to read what it asked for. */
  readonly drainTime: number;
  readonly connections: number;
}

/** A certificate, its key, and whom to believe: PEM text. */
export interface Pairing {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** SHA-256 fingerprints of the only certificates that may come in, in hex; colons and case do not matter. */
  readonly allow: readonly string[];
}

/** A request as its handler sees it. */
export interface Incoming {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Bytes of the body where the client said so. */
  readonly length: number | undefined;
  /** Fingerprint of the client's certificate, where the listener is paired. */
  readonly peer?: string;
  /** Fires when the client has left. */
  readonly signal: AbortSignal;
  /** Resolves when its answer is given, or can't be any more. */
  readonly over: Promise<void>;
  /**
   * The whole body. `came` hears how many bytes are there each time that more have come; what it throws ends the reading.
   * @throws TooLarge above `limit` bytes, Slow after the listener's limit, Left when the client is gone.
   */
  body(limit: number, came?: (bytes: number) => void): Promise<Buffer>;
}

/** An answer. A body of pieces is sent as they come; when it throws, the connection is cut so that nobody takes the part for the whole. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<string | Uint8Array>;
}

/** Answers a request. What it throws ends the connection. */
export type Handler = (request: Incoming) => Promise<Reply>;

/** What a listener is told, besides requests. */
export interface ListenOptions {
  /** One address of this host; never a wildcard. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly pairing?: Pairing;
  readonly limits: ListenLimits;
  /** The answer for a request that can't be read. */
  readonly refuse: (status: number, why: string) => Reply;
}

/** A listener. */
export interface Listener {
  readonly port: number;
  readonly connections: () => number;
  /** Takes no more connections, waits up to `grace` milliseconds for open answers, and closes. */
  stop(grace: number): Promise<void>;
}

/** A fingerprint as it is compared: hex without colons, lower case. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(":", "").toLowerCase();
}

/** SHA-256 fingerprint of a PEM certificate. @throws ShelterError "certificate" where it is none. */
export function fingerprintOf(pem: string): string {
  try {
    return plainFingerprint(new X509Certificate(pem).fingerprint256);
  } catch (error) {
    throw new ShelterError("certificate", "a certificate", "it can't be read", undefined, {
      cause: error,
    });
  }
}

const WILDCARDS = new Set(["", "0.0.0.0", "::", "*"]);

/**
 * Listens and hands each request to `handler`.
 * @throws ShelterError "wildcard-address" for an address that means all of them, "port-taken" where it can't be had.
 */
export function listen(options: ListenOptions, handler: Handler): Listener {
  const { address, port, pairing, limits } = options;
  if (WILDCARDS.has(address)) {
    throw new ShelterError(
      "wildcard-address",
      `listening on "${address}"`,
      "it means every address of this host; name one",
    );
  }
  const allowed = new Set(pairing?.allow.map(plainFingerprint));
  const open = new Set<Connection>();
  const greeting = new Map<Wire, ReturnType<typeof setTimeout>>();
  const greeted = (wire: Wire) => {
    clearTimeout(greeting.get(wire));
    greeting.delete(wire);
  };
  /** Whoever does not say who it is holds a place, too: for no longer than a head may take, and only until somebody else comes. */
  const greet = (wire: Wire) => {
    const [oldest] = greeting.keys();
    if (open.size + greeting.size >= limits.connections) {
      (oldest ?? wire).terminate();
      if (!oldest) return;
      greeted(oldest);
    }
    greeting.set(
      wire,
      setTimeout(() => wire.terminate(), limits.headTime),
    );
  };
  const begin = (wire: Wire, peer?: string) => {
    if (open.size >= limits.connections) {
      wire.terminate();
      return undefined;
    }
    const connection = new Connection(wire, peer, handler, options);
    open.add(connection);
    connection.closed.then(
      () => open.delete(connection),
      () => open.delete(connection),
    );
    return connection;
  };
  type State = { connection?: Connection | undefined };
  const socket: Bun.SocketHandler<State> = {
    open(wire) {
      wire.data = {};
      wire.timeout(0);
      if (!pairing) wire.data.connection = begin(wire);
      else greet(wire);
    },
    handshake(wire, ok) {
      if (!pairing) return;
      greeted(wire);
      // the library has checked the chain; the list says which of its certificates is the paired one
      const print = ok ? plainFingerprint(wire.getPeerCertificate().fingerprint256) : "";
      if (!ok || !allowed.has(print)) {
        wire.terminate();
        return;
      }
      wire.data.connection = begin(wire, print);
    },
    data(wire, bytes) {
      if (wire.data.connection) wire.data.connection.take(bytes);
      else wire.terminate();
    },
    drain: (wire) => wire.data.connection?.drained(),
    end: (wire) => wire.data.connection?.left(),
    close(wire) {
      greeted(wire);
      wire.data.connection?.left();
    },
    // also what a callback above throws comes here: nobody would read such a connection any further
    error(wire) {
      greeted(wire);
      wire.data.connection?.left();
      wire.terminate();
    },
  };
  let server: Bun.TCPSocketListener<State>;
  try {
    server = Bun.listen<State>({
      hostname: address,
      port,
      socket,
      data: {},
      ...(pairing
        ? {
            tls: {
              cert: pairing.cert,
              key: pairing.key,
              ca: pairing.ca,
              requestCert: true,
              rejectUnauthorized: true,
            },
          }
        : {}),
    });
  } catch (error) {
    throw new ShelterError(
      "port-taken",
      `listening on ${address}:${port}`,
      error instanceof Error ? error.message : String(error),
      ["ss", "-ltnp"],
      { cause: error },
    );
  }
  return {
    port: server.port,
    connections: () => open.size,
    async stop(grace) {
      server.stop(false);
      for (const wire of greeting.keys()) wire.terminate();
      const until = performance.now() + grace;
      for (const connection of open) connection.lastRequest();
      while (open.size > 0 && performance.now() < until) await Bun.sleep(20);
      for (const connection of open) connection.cut();
    },
  };
}
