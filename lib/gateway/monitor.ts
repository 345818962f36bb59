/** Watches one engine: its own /health tells at once when it is gone or frozen; a real question tells when it is back. */
import { certificateTrouble } from "../machine/dial.ts";
import { engineBodyLimit, readBounded } from "./bounded.ts";
import type { Engine } from "./engine.ts";
import { fields } from "./piece.ts";

/** How often and how long, in milliseconds. */
export interface Rhythm {
  /** Between two looks while it has streams open, or is down. */
  readonly busy: number;
  /** Between two looks while it does nothing. */
  readonly idle: number;
  /** Silence of its health, while it streams nothing either, that condemns it. */
  readonly silence: number;
}

/** A local engine's health answers within 50 ms also amid a long prompt (measured); a peer's crosses a radio. */
export const RHYTHM: Readonly<Record<"local" | "peer", Rhythm>> = {
  local: { busy: 250, idle: 1000, silence: 1000 },
  peer: { busy: 500, idle: 2000, silence: 2000 },
};

/** Longest wait for one real token of an engine that comes back, in milliseconds: a model may have to be loaded. */
export const PROOF = 60_000;
/** Longest wait for its list of models, in milliseconds. */
const LIST = 5000;
/** Length of a tick, in milliseconds; time in which this process did not run counts as two at most. */
export const TICK = 50;

/** What a look at an engine's health gave. */
type Look =
  | { readonly health: "ok" }
  | { readonly health: "down"; readonly why: string; readonly heard?: true };

/** Watches until `signal` fires. `alone` says whether no other engine could answer; `model` is what to ask it as a proof. */
export async function watch(
  engine: Engine,
  context: {
    readonly signal: AbortSignal;
    readonly alone: () => boolean;
    readonly model: () => string | undefined;
  },
): Promise<void> {
  const { signal, alone, model } = context;
  const rhythm = RHYTHM[engine.config.kind];
  let wake = () => undefined as void;
  engine.onWake = () => wake();
  while (!signal.aborted) {
    const look = await lookAt(engine, rhythm, signal);
    if (signal.aborted) return;
    if (look.health === "down") {
      // while its answers come in, a look that was drowned out is no bad sign; an answer that is cut tells by itself
      const speaking = engine.open.size > 0 && engine.quiet < rhythm.silence;
      if (!(engine.up && speaking && look.heard === undefined)) engine.condemn(look.why, true);
    } else if (!engine.up) {
      const proof = engine.config.kind === "peer" || (await answers(engine, model(), signal));
      if (signal.aborted) return;
      if (proof) {
        if (engine.config.kind === "local") engine.models = await modelsOf(engine, signal);
        engine.prove(alone());
      } else engine.condemn("it is healthy but does not answer", false);
    }
    const pause = engine.open.size > 0 || !engine.up ? rhythm.busy : rhythm.idle;
    await new Promise<void>((resolve) => {
      let timer = setTimeout(done, pause);
      function done(): void {
        clearTimeout(timer);
        // it outlives each pause: what stayed on it would add up over days
        signal.removeEventListener("abort", done);
        wake = () => undefined;
        resolve();
      }
      wake = () => {
        // a stream that opens brings the next look nearer, but looks keep their distance
        clearTimeout(timer);
        timer = setTimeout(done, Math.min(pause, rhythm.busy));
        wake = () => undefined;
      };
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

async function lookAt(engine: Engine, rhythm: Rhythm, signal: AbortSignal): Promise<Look> {
  const path = engine.config.kind === "local" ? "/health" : "/shelter/health";
  const given = new AbortController();
  const stop = () => given.abort(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  // counted in ticks that really ran: when this process was held up, the engine is not to blame
  let waited = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    waited += Math.min(now - last, 2 * TICK);
    last = now;
    if (waited >= rhythm.silence) given.abort();
  }, TICK);
  try {
    const response = await engine.dial(engine.config.url + path, {
      method: "GET",
      headers: engine.headers(),
      signal: given.signal,
    });
    const text = await readBounded(response, 64 * 1024);
    if (response.status !== 200)
      return { health: "down", why: `its health is ${response.status}`, heard: true };
    const said = engine.config.kind === "peer" ? fields(parsed(text)) : undefined;
    if (said) engine.models = namesIn(said["models"]);
    if (engine.config.kind === "peer" && said?.["engine"] !== "up") {
      return { health: "down", why: "its own engine is down", heard: true };
    }
    return { health: "ok" };
  } catch (error) {
    const why = given.signal.aborted ? "silent" : (certificateTrouble(error) ?? "unreachable");
    return { health: "down", why };
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** One real token: a wedged engine says that it is healthy. */
async function answers(
  engine: Engine,
  model: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const response = await engine.dial(`${engine.config.url}/v1/completions`, {
      method: "POST",
      headers: engine.headers(),
      body: JSON.stringify({
        ...(model === undefined ? {} : { model }),
        prompt: "Hi",
        max_tokens: 1,
        temperature: 0,
      }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(PROOF)]),
    });
    const text = await readBounded(response, engineBodyLimit);
    return response.status === 200 && Array.isArray(fields(parsed(text))?.["choices"]);
  } catch {
    return false;
  }
}

/** Names that an engine may say of itself. */
const NAMES = 200;

function namesIn(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? (value as readonly unknown[]).slice(0, NAMES) : [];
  return list.filter((one): one is string => typeof one === "string" && one.length <= 200);
}

/** What it serves, by its own words; none where it doesn't say. */
async function modelsOf(engine: Engine, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const response = await engine.dial(`${engine.config.url}/v1/models`, {
      method: "GET",
      headers: engine.headers(),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIST)]),
    });
    const data = fields(parsed(await readBounded(response, engineBodyLimit)))?.["data"];
    return Array.isArray(data) ? namesIn(data.map((one) => fields(one)?.["id"])) : [];
  } catch {
    return [];
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
