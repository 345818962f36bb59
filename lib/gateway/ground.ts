/** What the gateway stands on: its document, and the certificates that it names. */
import { ShelterError } from "../errors.ts";
import type { Probe } from "../machine/probe.ts";
import { parseGatewayConfig, type GatewayConfig } from "./config.ts";

/** A certificate, its key and whom to believe: PEM text. */
export interface Pem {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** What one generation of the gateway stands on. */
export interface Ground {
  readonly config: GatewayConfig;
  /** As it was read: the files may be other ones by now. */
  readonly pem: Pem | undefined;
}

/** The ground of a document. @throws ShelterError "certificate" where a file can't be read */
export function groundOf(probe: Probe, config: GatewayConfig): Ground {
  return { config, pem: pairingTexts(probe, config) };
}

function pairingTexts(probe: Probe, { pairing }: GatewayConfig): Pem | undefined {
  if (!pairing) return undefined;
  const read = (path: string) => {
    const text = probe.text(path);
    if (text !== undefined) return text;
    throw new ShelterError("certificate", `the file ${path}`, "it can't be read", [
      "./bin/shelter",
      "pair",
      "--help",
    ]);
  };
  return { cert: read(pairing.cert), key: read(pairing.key), ca: read(pairing.ca) };
}

/** The document as it is now. @throws ShelterError "gateway-config" for a wrong or missing one */
export function readDocument(probe: Probe, path: string): GatewayConfig {
  const reading = probe.read(path);
  if (reading.state === "ok") return parseGatewayConfig(reading.text, path);
  throw new ShelterError(
    "gateway-config",
    `the gateway's document ${path}`,
    reading.state === "absent" ? "it is not there" : "it can't be read",
    ["./bin/00_check_structure", "--plan"],
  );
}

/** Everything whose change matters: the document first, then the certificates it names. */
export function textsOf(probe: Probe, path: string): readonly string[] {
  const text = probe.text(path) ?? "";
  let files: readonly string[] = [];
  try {
    const { pairing } = parseGatewayConfig(text, path);
    files = pairing ? [pairing.cert, pairing.key, pairing.ca] : [];
  } catch {
    // a wrong document names nothing that could be watched
  }
  return [text, ...files.map((file) => probe.text(file) ?? "")];
}
