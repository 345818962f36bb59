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

const NOT_PAIRED = "the certificate is not the paired one";

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
            : new Error(NOT_PAIRED),
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

/** What of a failed dial is the certificate's fault, in words; undefined for any other failure. A host that can't be believed is another matter than one that is not there. */
export function certificateTrouble(error: unknown): string | undefined {
  const { code = "", message } =
    error instanceof Error ? (error as NodeJS.ErrnoException) : { message: "" };
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired";
  if (code === "CERT_NOT_YET_VALID") return "its certificate is not valid yet: a clock is wrong";
  if (message === NOT_PAIRED || /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)) {
    return "its certificate is not the paired one";
  }
  return undefined;
}
