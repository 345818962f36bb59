/** Asking another process over HTTP: an engine on this machine, or a peer over mutual TLS with its one certificate. */
import { plainFingerprint } from "./listen.ts";

/** How a peer is known, and how it knows us: PEM text and its certificate's SHA-256 fingerprint. */
export interface DialPairing {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly fingerprint: string;
}

/** What to send. */
export interface DialRequest {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Asks an address. Redirects are not followed, nothing is unpacked, no limit of time but the signal's. */
export type Dial = (url: string, request: DialRequest) => Promise<Response>;

/** A dial that goes straight to where it is told; with a pairing, only to the holder of that one certificate. */
export function createDial(pairing?: DialPairing): Dial {
  const wanted = pairing ? plainFingerprint(pairing.fingerprint) : "";
  const tls = pairing
    ? {
        cert: pairing.cert,
        key: pairing.key,
        ca: pairing.ca,
        rejectUnauthorized: true,
        // the name is not asked: an address may change, the certificate is the identity
        checkServerIdentity: (_name: string, certificate: { fingerprint256: string }) =>
          plainFingerprint(certificate.fingerprint256) === wanted
            ? undefined
            : new Error("the certificate is not the paired one"),
      }
    : undefined;
  return (url, { method, headers, body, signal }) =>
    fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      signal,
      redirect: "manual",
      decompress: false,
      // a dead connection from the pool would look like a dead engine
      keepalive: false,
      // silence is judged by who asks: Bun's own five minutes would cut a long prompt
      timeout: false,
      ...(tls ? { tls } : {}),
    } as BunFetchRequestInit);
}
