/** Whom this host is paired with, and what it says of itself. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { readConfig } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import { type Offer, parseOffer, type Role, ROLES, type Trust } from "./offer.ts";

/** Files of the gateway's identity. */
export const GATEWAY_KEY = "gateway.key";
export const GATEWAY_CERTIFICATE = "gateway.crt";

/** What is known of a paired host; undefined where there is no pairing. A damaged file throws. */
export function readTrust(probe: Probe, peer: HostName): Trust | undefined {
  const path = inHome.trust(probe.home, peer);
  const text = probe.text(path);
  if (text === undefined) return undefined;
  const offer = parseOffer(text, path);
  const { pairedAt } = JSON.parse(text) as { readonly pairedAt?: unknown };
  if (offer.name !== peer || typeof pairedAt !== "string" || Number.isNaN(Date.parse(pairedAt))) {
    throw new ShelterError(
      "trust-damaged",
      `reading ${path}`,
      `it is not about ${peer}, or has no date`,
      ["./bin/shelter", "pair", peer],
    );
  }
  return { ...offer, pairedAt };
}

/** All paired hosts, by name. */
export function paired(probe: Probe): readonly Trust[] {
  return probe
    .list(inHome.trust(probe.home))
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => readTrust(probe, name.slice(0, -".json".length)) ?? []);
}

/** The public half of one of our own keys: "type base64"; undefined where the pair is not whole. */
export function ownPublicKey(probe: Probe, role: Role): string | undefined {
  if (probe.stat(inHome.identity(probe.home, role)) === undefined) return undefined;
  const [type, base64] = probe.text(inHome.identity(probe.home, `${role}.pub`))?.split(" ") ?? [];
  return type && base64 ? `${type} ${base64.trim()}` : undefined;
}

/** How this host introduces itself; undefined while a key or the certificate is still to be made. */
export async function ownOffer(probe: Probe): Promise<Offer | undefined> {
  const keys: Partial<Record<Role, string>> = {};
  for (const role of ROLES) {
    const key = ownPublicKey(probe, role);
    if (key === undefined) return undefined;
    keys[role] = key;
  }
  const certificate = probe.text(inHome.identity(probe.home, GATEWAY_CERTIFICATE));
  if (certificate === undefined) return undefined;
  const entry = (await readConfig(probe)).hosts.find((host) => host.name === probe.host);
  return {
    schema: 1,
    name: probe.host,
    address: entry?.address ?? "",
    port: sshPort(probe),
    user: probe.me.user,
    home: probe.home,
    hostKeys: ownHostKeys(probe),
    keys: keys as Record<Role, string>,
    certificate,
  };
}

/** Public keys of this host's sshd. */
export function ownHostKeys(probe: Probe): readonly string[] {
  return probe
    .list("/etc/ssh")
    .filter((name) => /^ssh_host_\w+_key\.pub$/.test(name))
    .flatMap((name) => {
      const [type, base64] = (probe.text(join("/etc/ssh", name)) ?? "").trim().split(" ");
      return type && base64 ? [`${type} ${base64}`] : [];
    });
}

/** The first Port of sshd_config(5), 22 where none is set. */
function sshPort(probe: Probe): number {
  const files = [
    ...probe.list("/etc/ssh/sshd_config.d").map((name) => join("/etc/ssh/sshd_config.d", name)),
    "/etc/ssh/sshd_config",
  ];
  for (const path of files) {
    const port = /^\s*Port\s+(\d{1,5})\s*$/im.exec(probe.text(path) ?? "")?.[1];
    if (port !== undefined) return Number(port);
  }
  return 22;
}
