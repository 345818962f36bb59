/** This host's gateway, for the shelter's own commands: `ask` goes through it, `status` reads it. */
import { inHome } from "../keep/home.ts";
import type { Asked } from "../llm/complete.ts";
import type { Probe } from "../machine/probe.ts";
import { parseGatewayConfig } from "./config.ts";
import { keyIn } from "./key.ts";
import { fields, type Fields } from "./piece.ts";

/** A gateway that answers. */
export interface GatewayClient extends Asked {
  /** e.g. "http://127.0.0.1:8080", without a slash at its end. */
  readonly url: string;
  /** Models by the names that clients use; none where every engine is asked by its own. */
  readonly models: readonly string[];
  /** Its state, as /shelter/status gives it. */
  readonly status: Fields;
}

/** Longest wait for its state, in milliseconds. */
const PATIENCE = 2000;

/** This host's gateway; undefined where none is set up, or none runs. Only its document and the key it names are believed. */
export async function runningGateway(
  probe: Pick<Probe, "home" | "text" | "get">,
): Promise<GatewayClient | undefined> {
  const path = inHome.gateway(probe.home);
  const text = probe.text(path);
  if (text === undefined) return undefined;
  const { listen, models } = parseGatewayConfig(text, path);
  const key = keyIn(probe.text(listen.keyFile));
  if (key === undefined) return undefined;
  const host = listen.address.includes(":") ? `[${listen.address}]` : listen.address;
  const url = `http://${host}:${listen.port}`;
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  let status: Fields | undefined;
  try {
    const response = await probe.get(`${url}/shelter/status`, {
      headers,
      signal: AbortSignal.timeout(PATIENCE),
    });
    status = response.ok ? fields(await response.json()) : undefined;
  } catch {
    status = undefined; // it does not run, or is no gateway
  }
  if (!status) return undefined;
  return {
    url,
    models: models.map((one) => one.name),
    status,
    post: (where, body, signal) =>
      probe.get(url + where, {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        ...(signal ? { signal } : {}),
        timeout: false,
      } as RequestInit),
  };
}
