/** What the gateway's document is made from, read from this host; peers are asked what they serve. */
import { readBounded } from "../gateway/bounded.ts";
import type { ServedModel } from "../gateway/config.ts";
import { readDocument } from "../gateway/ground.ts";
import { fields } from "../gateway/piece.ts";
import { json } from "../facts/text.ts";
import { readConfig } from "../hosts/config.ts";
import type { Config } from "../hosts/settings.ts";
import { inHome } from "../keep/home.ts";
import { liveBuild } from "../llm/builds.ts";
import { servedProfile } from "../llm/profile.ts";
import { installedModels } from "../llm/store.ts";
import { createDial } from "../machine/dial.ts";
import type { Probe } from "../machine/probe.ts";
import { fingerprintOf, type Trust } from "../trust/offer.ts";
import { GATEWAY_CERTIFICATE, GATEWAY_KEY, lostTrusts, paired } from "../trust/store.ts";
import { servedModels, type GatewayFacts, type PeerFacts } from "./gateway_document.ts";
import { inServices } from "./places.ts";

/** Longest wait for a peer's word, in milliseconds. */
const PATIENCE = 3000;
/** Slots where no engine is built to ask how it serves. */
const USUAL_SLOTS = 4;

/** Reads it all; `ask` ends the asking of peers, and none are asked where it is left out. @throws ShelterError for a shared.cfg that can't be used. */
export async function gatewayFacts(probe: Probe, ask?: AbortSignal): Promise<GatewayFacts> {
  const { home, host } = probe;
  const config = await readConfig(probe);
  const trusts = paired(probe);
  const installed = await installedModels(probe);
  const build = liveBuild(probe);
  const slots = build ? installed.map((one) => servedProfile(probe, one, build).parallel) : [];
  const certificate = inHome.identity(home, GATEWAY_CERTIFICATE);
  const certificateKey = inHome.identity(home, GATEWAY_KEY);
  const heard = await Promise.all(
    trusts.map(async (trust): Promise<PeerFacts> => {
      const { name, address } = trust;
      const fingerprint = fingerprintOf(trust.certificate);
      const files = { certificate, certificateKey };
      const served = ask ? await askServed(probe, trust, config, files, ask) : undefined;
      return { name, address, fingerprint, served };
    }),
  );
  const peers = [...heard, ...heldPeers(probe)].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    host,
    ports: config.ports,
    address: peers[0] ? await addressTowards(probe, config, peers[0].address) : undefined,
    models: installed.map(({ name, sha256 }) => ({ name, sha256 })),
    slots: slots.length > 0 ? Math.min(...slots) : USUAL_SLOTS,
    peers,
    files: {
      key: inServices.gatewayKey(home),
      engineKey: inServices.engineKey(home),
      certificate,
      certificateKey,
      peers: inServices.peers(home),
    },
    before: probe.text(inHome.gateway(home)),
  };
}

/** Certificates of all paired hosts, as one PEM file; of those whose trust file is damaged as they stand in it already. */
export function peersPem(probe: Probe): string {
  const held = new Set(heldPeers(probe).map(({ fingerprint }) => fingerprint));
  const before = probe.text(inServices.peers(probe.home)) ?? "";
  const kept = held.size === 0 ? [] : (before.match(CERTIFICATE) ?? []).filter(isHeld);
  return [...paired(probe).map(({ certificate }) => certificate), ...kept]
    .map((certificate) => `${certificate.trim()}\n`)
    .join("");

  function isHeld(certificate: string): boolean {
    try {
      return held.has(fingerprintOf(certificate));
    } catch {
      return false;
    }
  }
}
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Hosts whose trust file is damaged, as the document before knows them: one bad file must not shut them out. */
function heldPeers(probe: Probe): readonly PeerFacts[] {
  const names = new Set(damagedTrusts(probe).map(({ peer }) => peer));
  if (names.size === 0) return [];
  try {
    const { engines } = readDocument(probe, inHome.gateway(probe.home));
    return engines.flatMap(({ name, kind, url, fingerprint }): readonly PeerFacts[] => {
      if (kind !== "peer" || !names.has(name) || fingerprint === undefined) return [];
      const address = new URL(url).hostname.replace(/^\[(.*)\]$/, "$1");
      return [{ name, address, fingerprint }];
    });
  } catch {
    return []; // there is no document before that is good
  }
}

/** Pairings whose files are damaged where they stand. One that was moved aside is none any more. */
export function damagedTrusts(probe: Probe) {
  return lostTrusts(probe).filter(({ damage }) => damage !== undefined);
}

/** What a peer's gateway says that its engine serves; undefined where it does not answer. */
async function askServed(
  probe: Probe,
  trust: Trust,
  { ports }: Config,
  files: { readonly certificate: string; readonly certificateKey: string },
  signal: AbortSignal,
): Promise<readonly ServedModel[] | undefined> {
  const [cert, key] = [probe.text(files.certificate), probe.text(files.certificateKey)];
  if (cert === undefined || key === undefined) return undefined;
  const fingerprint = fingerprintOf(trust.certificate);
  const dial = createDial({ cert, key, ca: trust.certificate, fingerprint });
  const host = trust.address.includes(":") ? `[${trust.address}]` : trust.address;
  try {
    const response = await dial(`https://${host}:${ports.peers}/shelter/health`, {
      method: "GET",
      headers: {},
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
    });
    const said = fields(json(await readBounded(response, 1024 * 1024)));
    return response.status === 200 && said ? servedModels(said["served"]) : undefined;
  } catch {
    return undefined; // it is down: what it said before holds
  }
}

/** This host's address that packets to `peer` come from, the one address that it listens on for it; undefined while there is no way to it. */
async function addressTowards(
  probe: Probe,
  { hosts }: Config,
  peer: string,
): Promise<string | undefined> {
  const known = isNumeric(peer) ? peer : await resolved(probe, peer);
  if (known === undefined) return undefined;
  const ran = await probe.run(["ip", "-json", "route", "get", known], { timeout: 5000 });
  const [route] = (json(ran.stdout) as readonly unknown[] | undefined) ?? [];
  const source = fields(route)?.["prefsrc"];
  const own = hosts.find(({ name }) => name === probe.host)?.address;
  // an address of the operator's choice, where this host has it now
  if (own !== undefined && isNumeric(own) && (await isOurs(probe, own))) return own;
  return typeof source === "string" && isNumeric(source) ? source : undefined;
}

async function resolved(probe: Probe, name: string): Promise<string | undefined> {
  const ran = await probe.run(["getent", "ahosts", name], { timeout: 5000 });
  const first = ran.stdout.split(/\s/, 1)[0] ?? "";
  return isNumeric(first) ? first : undefined;
}

async function isOurs(probe: Probe, address: string): Promise<boolean> {
  const ran = await probe.run(["ip", "-json", "address", "show", "to", address], { timeout: 5000 });
  const rows = json(ran.stdout);
  return Array.isArray(rows) && rows.some((row) => Object.keys(fields(row) ?? {}).length > 0);
}

/** An address in numbers; whether it is a right one, the system tells that is asked next. */
function isNumeric(address: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$|^(?=.*:)[0-9a-fA-F:.]{2,45}$/.test(address);
}
