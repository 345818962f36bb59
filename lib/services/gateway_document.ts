/** runtime/gateway.json from what this host is: its ports, its models, whom it is paired with and what they serve. Pure. */
import type { ModelConfig, ServedModel } from "../gateway/config.ts";
import { fields, type Fields } from "../gateway/piece.ts";
import type { Ports } from "../hosts/settings.ts";
import type { HostName, Json } from "../unit.ts";

/** A paired host, as its gateway is asked. */
export interface PeerFacts {
  readonly name: HostName;
  /** Where it is reached. */
  readonly address: string;
  /** SHA-256 of its certificate, hex. */
  readonly fingerprint: string;
  /** What it said that it serves; undefined while it was never heard. */
  readonly served?: readonly ServedModel[] | undefined;
}

/** What the document is made from. */
export interface GatewayFacts {
  readonly host: HostName;
  readonly ports: Ports;
  /** This host's address towards its peers; undefined while it has none: then only this host's own clients are served. */
  readonly address?: string | undefined;
  readonly models: readonly ServedModel[];
  /** Answers that the engine gives at the same time. */
  readonly slots: number;
  readonly peers: readonly PeerFacts[];
  readonly files: {
    readonly key: string;
    readonly engineKey: string;
    readonly certificate: string;
    readonly certificateKey: string;
    readonly peers: string;
  };
  /** The document that is there. */
  readonly before?: string | undefined;
}

/** Marks a document as ours to write anew. One without it is the operator's own, and stays. */
const MARK = "shelter gateway run";

/** True where the document may be written: there is none, or it is ours, also where it was cut short. */
export function mayWrite(before: string | undefined): boolean {
  const document = documentOf(before);
  if (document) return document["written_by"] === MARK;
  return before === undefined || before.trim() === "" || before.includes(MARK);
}

/** The document's text. What an operator set in one of ours (`limits`, `warm`) is kept. */
export function gatewayDocument(facts: GatewayFacts): string {
  const { host, ports, address, peers, files } = facts;
  const before = documentOf(facts.before);
  const document = {
    schema: 1,
    written_by: MARK,
    host,
    listen: { address: "127.0.0.1", port: ports.gateway, keyFile: files.key },
    ...(peers.length > 0 && address !== undefined
      ? {
          peers: { address, port: ports.peers, allow: peers.map(({ fingerprint }) => fingerprint) },
        }
      : {}),
    ...(peers.length > 0
      ? { pairing: { cert: files.certificate, key: files.certificateKey, ca: files.peers } }
      : {}),
    engines: [
      {
        name: host,
        kind: "local",
        url: `http://127.0.0.1:${ports.engine}`,
        keyFile: files.engineKey,
        slots: facts.slots,
      },
      ...peers.map((peer) => ({
        name: peer.name,
        kind: "peer",
        url: `https://${peer.address.includes(":") ? `[${peer.address}]` : peer.address}:${ports.peers}`,
        fingerprint: peer.fingerprint,
      })),
    ],
    models: modelsOf(facts, before),
    ...(before?.["limits"] === undefined ? {} : { limits: before["limits"] as Json }),
    ...(before?.["warm"] === undefined ? {} : { warm: before["warm"] as Json }),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/**
 * The models of all hosts by this host's names. The same file has one name here, whatever it is called there; of another file by the same name the digest
 * tells. A peer that can't be heard keeps what it last said.
 */
function modelsOf(facts: GatewayFacts, before: Fields | undefined): readonly ModelConfig[] {
  const found = new Map<string, Record<string, ServedModel>>(
    facts.models.map((model) => [model.name, { [facts.host]: model }]),
  );
  for (const peer of facts.peers) {
    for (const theirs of peer.served ?? lastSaid(before, peer.name)) {
      const own = facts.models.find(
        ({ sha256 }) => sha256 !== undefined && sha256 === theirs.sha256,
      );
      const name = own?.name ?? theirs.name;
      const on = found.get(name) ?? {};
      on[peer.name] ??= theirs;
      found.set(name, on);
    }
  }
  return [...found].map(([name, on]) => ({ name, on }));
}

/** What an earlier document of ours says that a host serves. */
function lastSaid(before: Fields | undefined, host: HostName): readonly ServedModel[] {
  const models = before?.["models"];
  if (!Array.isArray(models)) return [];
  return servedModels(models.map((one) => fields(fields(fields(one)?.["on"])?.[host])));
}

/** Models from outside: names and digests of the right form, and no more than a host can have. */
export function servedModels(value: unknown): readonly ServedModel[] {
  const list = Array.isArray(value) ? (value as readonly unknown[]).slice(0, 200) : [];
  return list.flatMap((one): readonly ServedModel[] => {
    const { name, sha256 } = fields(one) ?? {};
    if (typeof name !== "string" || !/^[^\p{C}]{1,200}$/u.test(name)) return [];
    if (sha256 === undefined) return [{ name }];
    return typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) ? [{ name, sha256 }] : [];
  });
}

function documentOf(text: string | undefined): Fields | undefined {
  try {
    return text === undefined ? undefined : fields(JSON.parse(text));
  } catch {
    return undefined;
  }
}
