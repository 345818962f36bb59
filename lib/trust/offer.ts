/** What two hosts tell each other when they pair: names, addresses, public keys, a certificate. No secret is in it; all of it is checked before it is used. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ShelterError } from "../errors.ts";
import { HOST_NAME, RESERVED_HOST_NAMES } from "../hosts/name.ts";
import type { HostName } from "../unit.ts";

/** What each key is for. A key of one role opens nothing of another's. */
export const ROLES = ["mirror", "witness", "operator", "signing"] as const;
export type Role = (typeof ROLES)[number];

/** One host as it introduces itself. */
export interface Offer {
  readonly schema: 1;
  readonly name: HostName;
  /** How the other reaches it by ssh; where it is empty, the address that it called from. */
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** Absolute path of its home. */
  readonly home: string;
  /** Its sshd's public keys: "type base64". */
  readonly hostKeys: readonly string[];
  /** Public keys by role: "type base64". */
  readonly keys: Readonly<Record<Role, string>>;
  /** The gateway's certificate, PEM. */
  readonly certificate: string;
}

/** A host that this one is paired with. */
export interface Trust extends Offer {
  /** UTC, ISO 8601. */
  readonly pairedAt: string;
}

/** OpenSSH's public key form, sshd(8); ed25519, ECDSA and RSA alone, without options or comment. */
const PUBLIC_KEY =
  /^(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) [A-Za-z0-9+/]{40,1000}={0,3}$/;
const ADDRESS = /^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/;
const USER = /^[a-z_][a-z0-9_-]{0,31}$/;
/** What an offer may weigh: keys and one certificate are a few kilobytes. */
export const OFFER_LIMIT = 64 * 1024;

/**
 * Reads an offer or a trust file's host.
 * @throws ShelterError "offer-malformed" naming the field.
 */
export function parseOffer(text: string, from: string): Offer {
  const refuse = (why: string) =>
    new ShelterError("offer-malformed", `reading what ${from} says of itself`, why);
  if (text.length > OFFER_LIMIT) throw refuse(`it is longer than ${OFFER_LIMIT} characters`);
  let said: Partial<Record<string, unknown>>;
  try {
    said = JSON.parse(text) as typeof said;
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : String(error));
  }
  if (said === null || typeof said !== "object" || said["schema"] !== 1) {
    throw refuse(`its schema is not 1: another release runs there`);
  }
  const word = (key: string, form: RegExp) => {
    const value = said[key];
    if (typeof value === "string" && form.test(value)) return value;
    throw refuse(`its ${key} is missing or not of the form ${form.source}`);
  };
  const keys = (said["keys"] ?? {}) as Partial<Record<string, unknown>>;
  const publicKey = (value: unknown, what: string) => {
    if (typeof value === "string" && PUBLIC_KEY.test(value)) return value;
    throw refuse(`its ${what} key is missing or no OpenSSH public key`);
  };
  const hostKeys = said["hostKeys"];
  if (!Array.isArray(hostKeys) || hostKeys.length === 0 || hostKeys.length > 8) {
    throw refuse("its sshd's host keys are missing");
  }
  const port = said["port"];
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw refuse("its port is not between 1 and 65535");
  }
  const name = word("name", HOST_NAME);
  if (RESERVED_HOST_NAMES.has(name)) throw refuse(`no host may be called ${name}`);
  const certificate = said["certificate"];
  if (typeof certificate !== "string") throw refuse("its certificate is missing");
  fingerprintOf(certificate); // throws for what is none
  return {
    schema: 1,
    name,
    address: said["address"] === "" ? "" : word("address", ADDRESS),
    port,
    user: word("user", USER),
    home: word("home", /^\/[^\0\n\r]{1,1023}$/),
    hostKeys: hostKeys.map((key: unknown) => publicKey(key, "host")),
    keys: {
      mirror: publicKey(keys["mirror"], "mirror"),
      witness: publicKey(keys["witness"], "witness"),
      operator: publicKey(keys["operator"], "operator"),
      signing: publicKey(keys["signing"], "signing"),
    },
    certificate,
  };
}

/** SHA-256 of a certificate's DER form, lower-case hex. Throws a ShelterError for what is no certificate. */
export function fingerprintOf(pem: string): string {
  return certificateOf(pem).fingerprint256.replaceAll(":", "").toLowerCase();
}

/** When a certificate ends, milliseconds since 1970. */
export function expiryOf(pem: string): number {
  return Date.parse(certificateOf(pem).validTo);
}

/** When a certificate begins, milliseconds since 1970. */
export function madeOf(pem: string): number {
  return Date.parse(certificateOf(pem).validFrom);
}

/** Whether a certificate is signed by itself and of this private key: one of an authority is never believed by the other side, which knows it alone. */
export function isOwn(pem: string, key: string): boolean {
  try {
    const certificate = new X509Certificate(pem);
    return (
      certificate.verify(certificate.publicKey) &&
      certificate.checkPrivateKey(createPrivateKey(key))
    );
  } catch {
    return false; // one of the two can't be read
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new ShelterError(
      "certificate-malformed",
      "reading a gateway's certificate",
      error instanceof Error ? error.message : String(error),
    );
  }
}
