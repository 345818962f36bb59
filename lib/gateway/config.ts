/** The gateway's document, runtime/gateway.json: where it listens, whom it asks, and under which names. Written by pairing and the services, checked here. */
import { ShelterError } from "../errors.ts";
import { parseLimits, type Limits } from "./limits.ts";
import { fields, type Fields } from "./piece.ts";

/** Where the certificate, its key, and the one to believe stand: PEM files. */
export interface PairingFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** An engine, as the gateway is told about it. The first is preferred, then the second … */
export interface EngineConfig {
  /** The host's name: shown to clients as who served. */
  readonly name: string;
  /** "local" is an engine on this host, asked with its key; "peer" another host's gateway, asked over mutual TLS. */
  readonly kind: "local" | "peer";
  /** e.g. "http://127.0.0.1:8081" or "https://10.77.0.2:8443". */
  readonly url: string;
  /** Holds a local engine's API key. */
  readonly keyFile?: string;
  /** SHA-256 of a peer's certificate. */
  readonly fingerprint?: string;
  /** Answers that it gives at the same time. */
  readonly slots: number;
}

/** A model as an engine knows it. The digest is the GGUF's: engines with the same one can continue each other's answers. */
export interface ServedModel {
  readonly name: string;
  readonly sha256?: string;
}

/** A model as clients know it, and as each engine does. */
export interface ModelConfig {
  readonly name: string;
  /** By engine name. */
  readonly on: Readonly<Record<string, ServedModel>>;
}

/** The whole document. */
export interface GatewayConfig {
  readonly schema: 1;
  /** This host. */
  readonly host: string;
  readonly listen: { readonly address: string; readonly port: number; readonly keyFile: string };
  /** Where peers come in; none where the host is alone. */
  readonly peers?: {
    readonly address: string;
    readonly port: number;
    readonly allow: readonly string[];
  };
  readonly pairing?: PairingFiles;
  readonly engines: readonly EngineConfig[];
  /** None: every engine is asked by the name that the client uses. */
  readonly models: readonly ModelConfig[];
  readonly limits: Limits;
  /** The next engine reads each prompt ahead, so that it can go on at once: costs its time and power. False when left out. */
  readonly warm: boolean;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const LOOPBACK = /^(127(\.\d{1,3}){3}|::1)$/;
const FINGERPRINT = /^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/;

/** Reads the document's text. @throws ShelterError "gateway-config" that names what is wrong in it. */
export function parseGatewayConfig(text: string, path: string): GatewayConfig {
  const wrong = (why: string) =>
    new ShelterError("gateway-config", `the gateway's document ${path}`, why, [
      "./bin/shelter",
      "pair",
      "--help",
    ]);
  let value: Fields | undefined;
  try {
    value = fields(JSON.parse(text));
  } catch (error) {
    throw wrong(error instanceof Error ? error.message : String(error));
  }
  if (value?.["schema"] !== 1) throw wrong("schema is not 1");
  const check = checker(wrong);
  const listen = check.mapping(value["listen"], "listen");
  const address = check.name(listen["address"], "listen.address", LOOPBACK, "a loopback address");
  const engines = check
    .list(value["engines"], "engines")
    .map((one, at) => parseEngine(one, at, check));
  if (engines.length === 0) throw wrong("engines names none");
  if (new Set(engines.map((one) => one.name)).size < engines.length)
    throw wrong("two engines have one name");
  const peers = value["peers"] === undefined ? undefined : check.mapping(value["peers"], "peers");
  const pairing =
    value["pairing"] === undefined ? undefined : check.mapping(value["pairing"], "pairing");
  if (!pairing && (peers || engines.some((one) => one.kind === "peer"))) {
    throw wrong("peers need pairing: cert, key and ca");
  }
  const limits = parseLimits(value["limits"]);
  if ("wrong" in limits) throw wrong(limits.wrong);
  if (value["warm"] !== undefined && typeof value["warm"] !== "boolean") {
    throw wrong("warm is neither true nor false");
  }
  return {
    schema: 1,
    host: check.name(value["host"], "host", NAME, "a host name"),
    listen: {
      address,
      port: check.port(listen["port"], "listen.port"),
      keyFile: check.path(listen["keyFile"], "listen.keyFile"),
    },
    ...(peers
      ? {
          peers: {
            address: check.name(
              peers["address"],
              "peers.address",
              /^[0-9a-fA-F.:]{2,45}$/,
              "an address",
            ),
            port: check.port(peers["port"], "peers.port"),
            allow: check
              .list(peers["allow"], "peers.allow")
              .map((one, at) =>
                check.name(one, `peers.allow[${at}]`, FINGERPRINT, "a SHA-256 fingerprint"),
              ),
          },
        }
      : {}),
    ...(pairing
      ? {
          pairing: {
            cert: check.path(pairing["cert"], "pairing.cert"),
            key: check.path(pairing["key"], "pairing.key"),
            ca: check.path(pairing["ca"], "pairing.ca"),
          },
        }
      : {}),
    engines,
    models: check
      .list(value["models"] ?? [], "models")
      .map((one, at) => parseModel(one, at, new Set(engines.map(({ name }) => name)), check)),
    limits: limits.limits,
    warm: value["warm"] === true,
  };
}

type Checker = ReturnType<typeof checker>;

function checker(wrong: (why: string) => ShelterError) {
  return {
    wrong,
    mapping(value: unknown, where: string): Fields {
      const found = fields(value);
      if (!found) throw wrong(`${where} is not a mapping`);
      return found;
    },
    list(value: unknown, where: string): readonly unknown[] {
      if (!Array.isArray(value)) throw wrong(`${where} is not a list`);
      return value as readonly unknown[];
    },
    name(value: unknown, where: string, shape: RegExp, what: string): string {
      if (typeof value !== "string" || !shape.test(value)) throw wrong(`${where} is not ${what}`);
      return value;
    },
    path(value: unknown, where: string): string {
      if (typeof value !== "string" || !value.startsWith("/"))
        throw wrong(`${where} is not an absolute path`);
      return value;
    },
    port(value: unknown, where: string): number {
      if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 65_536)
        return value;
      throw wrong(`${where} is not a port`);
    },
  };
}

function parseEngine(value: unknown, at: number, check: Checker): EngineConfig {
  const where = `engines[${at}]`;
  const from = check.mapping(value, where);
  const kind = from["kind"];
  if (kind !== "local" && kind !== "peer")
    throw check.wrong(`${where}.kind is neither local nor peer`);
  const url = check.name(
    from["url"],
    `${where}.url`,
    kind === "local"
      ? /^http:\/\/(127(\.\d{1,3}){3}|\[::1\]):\d{1,5}$/
      : /^https:\/\/([0-9A-Za-z.-]{1,253}|\[[0-9a-fA-F:]{2,39}\]):\d{1,5}$/,
    kind === "local" ? "a loopback http address with a port" : "an https address with a port",
  );
  const slots = from["slots"] ?? 4;
  if (typeof slots !== "number" || !Number.isInteger(slots) || slots < 1 || slots > 1024) {
    throw check.wrong(`${where}.slots is not a whole number from 1 to 1024`);
  }
  return {
    name: check.name(from["name"], `${where}.name`, NAME, "a host name"),
    kind,
    url,
    slots,
    ...(from["keyFile"] === undefined
      ? {}
      : { keyFile: check.path(from["keyFile"], `${where}.keyFile`) }),
    ...(kind === "peer"
      ? {
          fingerprint: check.name(
            from["fingerprint"],
            `${where}.fingerprint`,
            FINGERPRINT,
            "a SHA-256 fingerprint",
          ),
        }
      : {}),
  };
}

function parseModel(
  value: unknown,
  at: number,
  engines: ReadonlySet<string>,
  check: Checker,
): ModelConfig {
  const where = `models[${at}]`;
  const from = check.mapping(value, where);
  const model = /^[^\p{C}]{1,200}$/u;
  const on = Object.entries(check.mapping(from["on"], `${where}.on`)).map(([engine, one]) => {
    if (!engines.has(engine)) throw check.wrong(`${where}.on names ${engine}, which is no engine`);
    const there = check.mapping(one, `${where}.on.${engine}`);
    return [
      engine,
      {
        name: check.name(there["name"], `${where}.on.${engine}.name`, model, "a name"),
        ...(there["sha256"] === undefined
          ? {}
          : {
              sha256: check.name(
                there["sha256"],
                `${where}.on.${engine}.sha256`,
                /^[0-9a-f]{64}$/,
                "a SHA-256",
              ),
            }),
      },
    ] as const;
  });
  return {
    name: check.name(from["name"], `${where}.name`, model, "a name"),
    on: Object.fromEntries(on),
  };
}
