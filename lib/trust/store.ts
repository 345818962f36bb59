/** Whom this host is paired with, and what it says of itself. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { jsonProblem } from "../facts/json_place.ts";
import { readConfig } from "../hosts/config.ts";
import { HOST_NAME } from "../hosts/name.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Failure, HostName } from "../unit.ts";
import { type Offer, parseOffer, type Role, ROLES, type Trust } from "./offer.ts";

/** Files of the gateway's identity. */
export const GATEWAY_KEY = "gateway.key";
export const GATEWAY_CERTIFICATE = "gateway.crt";

/** What a file says of a pairing, or why it can't be used. */
type Reading =
  | { readonly trust: Trust }
  | { readonly why: string; readonly line: number; readonly column: number };

/** What is known of a paired host; undefined where there is no pairing. @throws ShelterError "trust-damaged" with the place */
export function readTrust(probe: Probe, peer: HostName): Trust | undefined {
  const reading = lookAtTrust(probe, peer);
  if (reading === undefined || "trust" in reading) return reading?.trust;
  throw new ShelterError(
    "trust-damaged",
    `what ${inHome.trust(probe.home, peer)} says of ${peer}`,
    sayPlace(reading),
    pairAnew(peer),
  );
}

/** The same for who is about to write it anew: a damaged file counts as none. */
export function soundTrust(probe: Probe, peer: HostName): Trust | undefined {
  const reading = lookAtTrust(probe, peer);
  return reading && "trust" in reading ? reading.trust : undefined;
}

/** All paired hosts, by name. One whose file is damaged is none of them. */
export function paired(probe: Probe): readonly Trust[] {
  return fileNames(probe).flatMap((name) => soundTrust(probe, name) ?? []);
}

/** A host that this one was paired with, and of which it can't say any more how to reach it. */
export interface LostTrust {
  readonly peer: HostName;
  readonly path: string;
  /** Line, column and reason; undefined for a file that was moved aside already. */
  readonly damage?: string;
  /** The command that makes the pairing anew. */
  readonly fix: readonly string[];
}

/** The pairings that can't be used: their files are damaged, or were and are set aside. */
export function lostTrusts(probe: Probe): readonly LostTrust[] {
  const names = fileNames(probe);
  const damaged = names.flatMap((peer): readonly LostTrust[] => {
    const reading = lookAtTrust(probe, peer);
    if (reading === undefined || "trust" in reading) return [];
    const path = inHome.trust(probe.home, peer);
    return [{ peer, path, damage: sayPlace(reading), fix: pairAnew(peer) }];
  });
  const folder = inHome.trust(probe.home);
  const aside = new Map(
    probe.list(folder).flatMap((file) => {
      const peer = /^(.+)\.json\.damaged-/.exec(file)?.[1];
      return peer === undefined || names.includes(peer)
        ? []
        : [[peer, join(folder, file)] as const];
    }),
  );
  return [...damaged, ...[...aside].map(([peer, path]) => ({ peer, path, fix: pairAnew(peer) }))];
}

/** Why `what` can't be done with a host whose pairing is lost. */
export function lostFailure({ peer, path, damage, fix }: LostTrust, what: string): Failure {
  const why =
    damage === undefined
      ? `what this host knew of ${peer} was damaged, and is set aside in ${path}`
      : `what this host knows of ${peer} is damaged: ${path}, ${damage}`;
  return { id: "trust-damaged", what, why, fix };
}

function pairAnew(peer: HostName): readonly string[] {
  return HOST_NAME.test(peer) ? ["./bin/shelter", "pair", peer] : ["./bin/00_check_structure"];
}

function fileNames(probe: Probe): readonly HostName[] {
  return probe
    .list(inHome.trust(probe.home))
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length));
}

function lookAtTrust(probe: Probe, peer: HostName): Reading | undefined {
  const path = inHome.trust(probe.home, peer);
  const text = probe.text(path);
  if (text === undefined) return undefined;
  const problem = jsonProblem(text);
  if (problem) return problem;
  try {
    const offer = parseOffer(text, path);
    const { pairedAt } = JSON.parse(text) as { readonly pairedAt?: unknown };
    if (offer.name === peer && typeof pairedAt === "string" && !Number.isNaN(Date.parse(pairedAt)))
      return { trust: { ...offer, pairedAt } };
    return { why: `it is not about ${peer}, or has no date`, line: 1, column: 1 };
  } catch (error) {
    if (!(error instanceof ShelterError)) throw error;
    return { why: error.why, line: 1, column: 1 };
  }
}

function sayPlace({ line, column, why }: Exclude<Reading, { readonly trust: Trust }>): string {
  return `line ${line}, column ${column}: ${why}`;
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
