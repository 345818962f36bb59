/** The eyes for the host's own services: the gateway by its own word, the engine by the gateway's, each by systemd's where it is silent. */
import { asFailure } from "../errors.ts";
import { runningGateway, type GatewayClient } from "../gateway/client.ts";
import { parseGatewayConfig, type EngineConfig, type GatewayConfig } from "../gateway/config.ts";
import { keyIn } from "../gateway/key.ts";
import { firstModelOn } from "../gateway/mapping.ts";
import { PROOF } from "../gateway/monitor.ts";
import { fields } from "../gateway/piece.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { ENGINE_UNIT, GATEWAY_UNIT } from "../services/places.ts";
import { Gauge } from "./gauge.ts";
import type { ServiceLook } from "./look.ts";
import type { Target } from "./state.ts";
import { unitLook } from "./units.ts";

/** Longest wait for a health that answers within 50 ms (measured), in milliseconds. */
const HEALTH = 2000;
/** So many looks in a row must be silent: a machine that is drowned for a moment has no dead service. */
const SILENT_LOOKS = 3;
/** So many questions in a row must go without a token: one may meet a model that is being loaded, or all slots taken. */
const UNANSWERED = 2;

type Seen = Readonly<Record<Target, ServiceLook>>;

/** Looks at both. */
export function serviceEyes(probe: Probe): (now: number) => Promise<Seen> {
  let engine: EngineEyes | undefined;
  const gateway = new Hearing();
  return async (now) => {
    const path = inHome.gateway(probe.home);
    const text = probe.text(path);
    if (text === undefined) return { engine: { state: "absent" }, gateway: { state: "absent" } };
    let config: GatewayConfig;
    try {
      config = parseGatewayConfig(text, path);
    } catch (error) {
      const { why } = asFailure(error);
      const down = { state: "down", why: `${path}: ${why}`, cause: "gateway-config" } as const;
      return {
        engine: { state: "unknown", why: "the gateway's document is damaged" },
        gateway: gateway.heard(await unitLook(probe, GATEWAY_UNIT, down)),
      };
    }
    const local = config.engines.find((one) => one.kind === "local");
    const client = await runningGateway(probe);
    if (engine?.config.url !== local?.url) engine = local && new EngineEyes(probe, local);
    const model = local && firstModelOn(config.models, local.name);
    const [seenEngine, seenGateway] = await Promise.all([
      engine?.look(client, model, now) ?? ({ state: "absent" } as const),
      client
        ? gateway.heard({ state: "up", ...outdatedOf(client) })
        : gateway.ask(probe, GATEWAY_UNIT, "it runs, but does not answer"),
    ]);
    return { engine: seenEngine, gateway: seenGateway };
  };
}

/** What was heard of one service; its silence is believed only after some looks in a row. */
class Hearing {
  last: ServiceLook = { state: "unknown", why: "it was not looked at yet" };
  #silent = 0;

  /** It told itself, or systemd did. */
  heard(look: ServiceLook): ServiceLook {
    this.#silent = 0;
    return (this.last = look);
  }

  /** It is silent: `why` says of what kind, should systemd say that it runs. */
  async ask(probe: Probe, unit: string, why: string): Promise<ServiceLook> {
    const silent: ServiceLook = { state: "down", why };
    const seen = await unitLook(probe, unit, silent);
    if (seen !== silent) return this.heard(seen);
    if (++this.#silent >= SILENT_LOOKS) this.last = silent;
    return this.last;
  }
}

/** The eyes for one engine. */
class EngineEyes {
  readonly #hearing = new Hearing();
  /** What to ask it for, where the document says it. */
  #model: string | undefined;
  /** Questions in a row that it did not answer; begun anew with each start of the engine. */
  #unanswered: Gauge<number> | undefined;

  constructor(
    private readonly probe: Probe,
    readonly config: EngineConfig,
  ) {}

  /** `model` is what to ask it for. */
  async look(
    client: GatewayClient | undefined,
    model: string | undefined,
    now: number,
  ): Promise<ServiceLook> {
    const hearing = this.#hearing;
    this.#model = model;
    if (client && standingOf(client, this.config.name) === "up") {
      this.#unanswered = undefined;
      return hearing.heard({ state: "up" });
    }
    // the gateway lets one that fell wait before it believes it again: that is no reason to restart it once more
    const health = await this.#health();
    if (health === 200) {
      if (!client) return hearing.heard({ state: "up" }); // nobody asks it for anything
      return hearing.heard(this.#judge(now));
    }
    this.#unanswered = undefined;
    if (health === 503) return hearing.heard({ state: "starting" });
    const why =
      health === undefined
        ? "it runs, but does not answer"
        : `it runs, and its health is ${health}`;
    return hearing.ask(this.probe, ENGINE_UNIT, why);
  }

  /** One that says it is healthy, by what it answers. */
  #judge(now: number): ServiceLook {
    this.#unanswered ??= this.#questions();
    const unanswered = this.#unanswered.at(now);
    if (unanswered === 0) return { state: "up" };
    if (unanswered !== undefined && unanswered >= UNANSWERED) {
      return { state: "down", why: "it says that it is healthy and answers nothing" };
    }
    return this.#hearing.last.state === "up" ? this.#hearing.last : { state: "starting" };
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

  #questions(): Gauge<number> {
    let unanswered = 0;
    const ask = async () => (unanswered = (await this.#answers()) ? 0 : unanswered + 1);
    return new Gauge(ask, 5000);
  }

  /** One token: a wedged engine says that it is healthy. Asked only while the gateway gives it nothing to do. */
  async #answers(): Promise<boolean> {
    const { keyFile, url } = this.config;
    const key = keyFile === undefined ? undefined : keyIn(this.probe.text(keyFile));
    const headers = {
      "Content-Type": "application/json",
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
    };
    const model = this.#model ?? (await this.#anyModel(headers));
    try {
      const response = await this.probe.get(`${url}/v1/completions`, {
        method: "POST",
        headers,
        body: JSON.stringify({ ...(model ? { model } : {}), prompt: "Hi", max_tokens: 1 }),
        signal: AbortSignal.timeout(PROOF),
      });
      return response.ok && Array.isArray(fields(await response.json())?.["choices"]);
    } catch {
      return false;
    }
  }

  /** A router wants to be told which model: one that is loaded, where the document names none. */
  async #anyModel(headers: Readonly<Record<string, string>>): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(HEALTH);
      const response = await this.probe.get(`${this.config.url}/v1/models`, { headers, signal });
      const data = fields(await response.json())?.["data"];
      const models = Array.isArray(data) ? data.map((one) => fields(one)) : [];
      const loaded = models.find((one) => fields(one?.["status"])?.["value"] === "loaded");
      const id = (loaded ?? models[0])?.["id"];
      return typeof id === "string" ? id : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Its own word of why its document is an older one. */
function outdatedOf({ status }: GatewayClient): { readonly outdated?: string } {
  const { document } = status;
  return typeof document === "string" ? { outdated: document.slice(0, 500) } : {};
}

function standingOf(client: GatewayClient, name: string): unknown {
  const { engines } = client.status;
  if (!Array.isArray(engines)) return undefined;
  return engines.map((one) => fields(one)).find((one) => one?.["name"] === name)?.["state"];
}
