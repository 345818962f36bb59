/** Embeddings: asked whole, and asked again elsewhere when an engine fails, for nothing of them was shown. */
import type { Kitchen } from "./answer.ts";
import { readBounded } from "./bounded.ts";
import type { Engine, OpenStream } from "./engine.ts";
import { engineFault, engineRefusal, Refusal } from "./errors.ts";
import { exchange } from "./exchange.ts";
import { parseJson } from "./json.ts";
import { WHOLE_LIMIT } from "./limits.ts";
import { wantedModel } from "./mapping.ts";
import { fields, type Fields } from "./piece.ts";
import type { Served } from "./splice.ts";
import { StreamFault } from "./sse.ts";

/** An engine's whole answer, and who gave it. @throws Refusal, or the reason of `signal` */
export async function embed(
  { pool, models, counts }: Kitchen,
  body: Fields,
  model: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly text: string; readonly served: Served }> {
  const wanted = wantedModel(models, model);
  const unable = new Set<string>();
  let failed: Engine | undefined;
  let problem = new Refusal(502, "engines_failed", "every attempt failed", 5);
  for (let attempt = 1; attempt <= pool.limits.attempts; attempt++) {
    const need = { wanted, unable, begun: attempt > 1, ...(failed ? { avoid: failed.name } : {}) };
    const place = await pool.placeFor(need, signal).catch((error: unknown) => {
      throw error instanceof Refusal && error.status === 404 && failed ? problem : error;
    });
    const { engine } = place;
    try {
      const name = wanted.at(engine.name)?.name;
      const asked = JSON.stringify({ ...body, ...(name === undefined ? {} : { model: name }) });
      const { status, text } = await askWhole(engine, "/v1/embeddings", asked, signal);
      if (status === 200) {
        const served = { served_by: [engine.name], carried_over: 0, started_anew: attempt - 1 };
        const found = named(text, wanted.name);
        return { text: found, served };
      }
      const fault = engineFault(engine.name, status);
      if (fault) throw fault;
      problem = engineRefusal(status, text);
      if (status < 500 && status !== 404 && status !== 429) throw problem;
      unable.add(engine.name);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof StreamFault)) throw error;
      counts.faults[error.kind] = (counts.faults[error.kind] ?? 0) + 1;
      if (error.kind !== "condemned" && error.kind !== "stalled")
        engine.condemn(error.message, false);
      problem = new Refusal(502, "engines_failed", error.message, 5);
    } finally {
      place.giveBack();
    }
    failed = engine;
  }
  throw problem;
}

/** The answer under the model's name as the client knows it. @throws StreamFault where it is no JSON object */
function named(text: string, name: string | undefined): string {
  let value: Fields | undefined;
  try {
    value = fields(parseJson(text));
  } catch {
    value = undefined;
  }
  if (!value) throw new StreamFault("malformed", "the engine's answer is no JSON object");
  return JSON.stringify(name === undefined ? value : { ...value, model: name });
}

/** Asks an engine for a whole document; its death or silence ends the asking. @throws StreamFault, or the reason of `signal` */
export async function askWhole(
  engine: Engine,
  path: string,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const read = async function* (response: Response, stream: OpenStream) {
    const text = await readBounded(response, WHOLE_LIMIT);
    engine.heard(stream);
    yield { status: response.status, text };
  };
  for await (const whole of exchange(engine, { path, body, signal }, read)) return whole;
  throw new StreamFault("cut", `${engine.name} said nothing`);
}
