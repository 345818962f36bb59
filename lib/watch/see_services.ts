/** The eyes for the host's own services: the gateway by its own word, the engine by the gateway's, each by systemd's where it is silent. */
import { asFailure } from "../errors.ts";
import { runningGateway, type GatewayClient } from "../gateway/client.ts";
import { parseGatewayConfig, type EngineConfig } from "../gateway/config.ts";
import { keyIn } from "../gateway/key.ts";
import { fields } from "../gateway/piece.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { Gauge } from "./gauge.ts";
import type { ServiceLook } from "./look.ts";
import type { Target } from "./state.ts";
import { unitLook } from "./units.ts";

/** Longest wait for a health that answers within 50 ms (measured), and for one token of an engine that nobody else asks. Milliseconds. */
const HEALTH = 2000;
const TOKEN = 30_000;
/** Looks in a row that may be silent: a machine that is drowned for a moment has no dead engine. */
const SILENT_LOOKS = 3;

type Seen = Readonly<Record<Target, ServiceLook>>;

/** Looks at both. */
export function serviceEyes(probe: Probe): (now: number) => Promise<Seen> {
  let engine: EngineEyes | undefined;
  return async (now) => {
    const path = inHome.gateway(probe.home);
    const text = probe.text(path);
    if (text === undefined) return { engine: { state: "absent" }, gateway: { state: "absent" } };
    let local: EngineConfig | undefined;
    try {
      local = parseGatewayConfig(text, path).engines.find((one) => one.kind === "local");
    } catch (error) {
      const { why } = asFailure(error);
      const down = { state: "down", why: `${path}: ${why}`, cause: "gateway-config" } as const;
      const gateway = await unitLook(probe, "shelter-gateway.service", down);
      return { engine: { state: "unknown", why: "the gateway's document is damaged" }, gateway };
    }
    const client = await runningGateway(probe);
    if (engine?.config.url !== local?.url) engine = local && new EngineEyes(probe, local);
    const [seenEngine, gateway] = await Promise.all([
      engine?.look(client, now) ?? ({ state: "absent" } as const),
      client
        ? ({ state: "up" } as const)
        : unitLook(probe, "shelter-gateway.service", {
            state: "down",
            why: "it runs, but does not answer",
          }),
    ]);
    return { engine: seenEngine, gateway };
  };
}

/** The eyes for one engine. */
class EngineEyes {
  #silent = 0;
  #last: ServiceLook = { state: "unknown", why: "it was not looked at yet" };
  readonly #token: Gauge<boolean>;

  constructor(
    private readonly probe: Probe,
    readonly config: EngineConfig,
  ) {
    this.#token = new Gauge(() => this.#answers(), 5000);
  }

  async look(client: GatewayClient | undefined, now: number): Promise<ServiceLook> {
    this.#last = await this.#judge(client, now);
    return this.#last;
  }

  async #judge(client: GatewayClient | undefined, now: number): Promise<ServiceLook> {
    if (client && standingOf(client, this.config.name) === "up") {
      this.#silent = 0;
      return { state: "up" };
    }
    // the gateway lets one that fell wait before it believes it again: that is no reason to restart it once more
    const health = await this.#health();
    if (health === 200) {
      this.#silent = 0;
      if (!client) return { state: "up" }; // nobody asks it for anything
      const answers = this.#token.at(now);
      if (answers === undefined)
        return this.#last.state === "up" ? this.#last : { state: "starting" };
      if (answers) return { state: "up" };
      return { state: "down", why: "it says that it is healthy and answers nothing" };
    }
    if (health === 503) return { state: "starting" };
    const why =
      health === undefined
        ? "it runs, but does not answer"
        : `it runs, and its health is ${health}`;
    const seen = await unitLook(this.probe, "shelter-engine.service", { state: "down", why });
    if (seen.state !== "down" || seen.why !== why) {
      this.#silent = 0;
      return seen;
    }
    return ++this.#silent < SILENT_LOOKS ? this.#last : seen;
  }

  async #health(): Promise<number | undefined> {
    try {
      const response = await this.probe.get(`${this.config.url}/health`, {
        signal: AbortSignal.timeout(HEALTH),
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return undefined;
    }
  }

  /** One token: a wedged engine says that it is healthy. Asked only while the gateway gives it nothing to do. */
  async #answers(): Promise<boolean> {
    const { keyFile, url } = this.config;
    const key = keyFile === undefined ? undefined : keyIn(this.probe.text(keyFile));
    const headers = {
      "Content-Type": "application/json",
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
    };
    const model = await this.#model(headers);
    try {
      const response = await this.probe.get(`${url}/v1/completions`, {
        method: "POST",
        headers,
        body: JSON.stringify({ ...(model ? { model } : {}), prompt: "Hi", max_tokens: 1 }),
        signal: AbortSignal.timeout(TOKEN),
      });
      return response.ok && Array.isArray(fields(await response.json())?.["choices"]);
    } catch {
      return false;
    }
  }

  /** A router wants to be told which model. */
  async #model(headers: Readonly<Record<string, string>>): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(HEALTH);
      const response = await this.probe.get(`${this.config.url}/v1/models`, { headers, signal });
      const data = fields(await response.json())?.["data"];
      const first: unknown = Array.isArray(data) ? fields(data[0])?.["id"] : undefined;
      return typeof first === "string" ? first : undefined;
    } catch {
      return undefined;
    }
  }
}

function standingOf(client: GatewayClient, name: string): unknown {
  const { engines } = client.status;
  if (!Array.isArray(engines)) return undefined;
  return engines.map((one) => fields(one)).find((one) => one?.["name"] === name)?.["state"];
}
