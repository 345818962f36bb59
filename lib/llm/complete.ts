/** Asking an engine over its OpenAI interface, streamed, with the timings that llama-server adds. */
import { ShelterError } from "../errors.ts";

/** Who can be asked: a started server, or anything that speaks like one. */
export interface Asked {
  /** POSTs JSON to a path of the engine, with its key. */
  post(path: string, body: unknown, signal?: AbortSignal): Promise<Response>;
}

/** One message of a chat. */
export interface Message {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/** What to ask. Greedy unless a temperature is given. */
export interface CompletionRequest {
  readonly messages: readonly Message[];
  /** Whom to ask where several models are served; the engine's only one when left out. */
  readonly model?: string;
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly seed?: number;
  /** False reads the whole prompt anew, for measuring. */
  readonly cachePrompt?: boolean;
  /** True goes on to `maxTokens` past the end of the answer, for measuring. */
  readonly ignoreEnd?: boolean;
  readonly signal?: AbortSignal;
}

/** What came, and how fast. Times are milliseconds, speeds tokens per second as the engine measured them. */
export interface Completion {
  readonly text: string;
  /** Tokens of the prompt that were computed, and that were still known from before. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly promptPerSecond: number;
  readonly generatedTokens: number;
  readonly generatedPerSecond: number;
  /** From sending to the first text, as the caller saw it. */
  readonly firstTokenMs: number;
  readonly tookMs: number;
  /** Why it ended: "stop", "length" … */
  readonly finish: string;
  /** Tokens that speculation drafted, and how many of them were right. */
  readonly drafted: number;
  readonly accepted: number;
  /** The model by the name that the engine gave. */
  readonly model?: string;
  /** Where a gateway answered: on which hosts, in order, and how often one went on where another had stopped. */
  readonly served?: { readonly by: readonly string[]; readonly carriedOver: number };
}

/**
 * Asks and streams the answer; `onToken` hears each piece as it comes.
 * @throws ShelterError "engine-refused" with the engine's own words, "engine-cut" where the answer broke off, or the reason of `signal`.
 */
export async function complete(
  engine: Asked,
  request: CompletionRequest,
  onToken?: (text: string) => void,
): Promise<Completion> {
  const started = performance.now();
  const response = await reached(
    engine.post(
      "/v1/chat/completions",
      {
        messages: request.messages,
        ...(request.model === undefined ? {} : { model: request.model }),
        max_tokens: request.maxTokens,
        temperature: request.temperature ?? 0,
        ...(request.seed === undefined ? {} : { seed: request.seed }),
        ...(request.cachePrompt === undefined ? {} : { cache_prompt: request.cachePrompt }),
        ...(request.ignoreEnd ? { ignore_eos: true } : {}),
        stream: true,
        stream_options: { include_usage: true },
      },
      request.signal,
    ),
    request.signal,
  );
  if (!response.ok || !response.body) throw await refusal(response);
  let text = "";
  let finish = "";
  let firstTokenMs = 0;
  let timings: Timings | undefined;
  let served: Completion["served"];
  let tokens: number | undefined;
  let model: string | undefined;
  let whole = false;
  for await (const event of serverSentEvents(unbroken(response.body, request.signal))) {
    if (event === "[DONE]") {
      whole = true;
      break;
    }
    const piece = parsePiece(event);
    if (piece.error !== undefined) {
      throw new ShelterError("engine-refused", "the engine gave up on an answer", piece.error);
    }
    if (piece.text !== "") {
      if (text === "") firstTokenMs = performance.now() - started;
      text += piece.text;
      onToken?.(piece.text);
    }
    finish = piece.finish ?? finish;
    timings = piece.timings ?? timings;
    served = piece.served ?? served;
    tokens = piece.tokens ?? tokens;
    model = piece.model ?? model;
  }
  request.signal?.throwIfAborted();
  if (!whole) {
    throw new ShelterError(
      "engine-cut",
      "the engine's answer broke off",
      `its stream ended after ${text.length} characters without saying so`,
    );
  }
  return {
    text,
    finish,
    firstTokenMs,
    tookMs: performance.now() - started,
    promptTokens: timings?.prompt_n ?? 0,
    cachedTokens: timings?.cache_n ?? 0,
    promptPerSecond: timings?.prompt_per_second ?? 0,
    // an engine's timings are of its own part; a gateway counts the whole
    generatedTokens: (served && tokens) ?? timings?.predicted_n ?? 0,
    generatedPerSecond: timings?.predicted_per_second ?? 0,
    drafted: timings?.draft_n ?? 0,
    accepted: timings?.draft_n_accepted ?? 0,
    ...(model === undefined ? {} : { model }),
    ...(served ? { served } : {}),
  };
}

/** An engine that is gone is its failure, not ours. */
async function reached(asking: Promise<Response>, signal?: AbortSignal): Promise<Response> {
  try {
    return await asking;
  } catch (error) {
    throw gone(error, "asking the engine", signal);
  }
}

async function* unbroken(
  body: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* body;
  } catch (error) {
    throw gone(error, "the engine's answer broke off", signal);
  }
}

function gone(error: unknown, what: string, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  if (error instanceof ShelterError || !(error instanceof Error)) return error;
  return new ShelterError("engine-cut", what, `its connection ended: ${error.message}`);
}

/** The data of each server-sent event in a stream of bytes (WHATWG HTML 9.2); comments and other fields are passed over. */
export async function* serverSentEvents(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    // a CR at the end may be half of a CRLF: it waits for the next chunk
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "" && data.length > 0) {
        yield data.join("\n");
        data = [];
      } else if (line.startsWith("data:")) {
        data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
      }
    }
  }
}

/** llama-server's `timings` (tools/server/README.md, v0.5.0). */
interface Timings {
  readonly cache_n: number;
  readonly prompt_n: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_per_second: number;
  readonly draft_n: number;
  readonly draft_n_accepted: number;
}

interface Piece {
  readonly text: string;
  readonly finish?: string;
  readonly timings?: Timings;
  readonly served?: Completion["served"];
  readonly model?: string;
  /** Tokens of the whole answer, at its end. */
  readonly tokens?: number;
  readonly error?: string;
}

/** One event of a streamed chat. Thoughts of a reasoning model count as text: they are tokens too. */
function parsePiece(event: string): Piece {
  let value: unknown;
  try {
    value = JSON.parse(event);
  } catch {
    return { text: "", error: "it sent something that is not JSON" };
  }
  const chunk = fields(value);
  if (chunk["error"] !== undefined) {
    const message = fields(chunk["error"])["message"];
    return { text: "", error: typeof message === "string" ? message : "it named no reason" };
  }
  const choices: unknown = chunk["choices"];
  const choice = fields(Array.isArray(choices) ? choices[0] : undefined);
  const delta = fields(choice["delta"]);
  const said = (key: string) => (typeof delta[key] === "string" ? delta[key] : "");
  const finish = choice["finish_reason"];
  const served = servedBy(chunk["shelter"]);
  const tokens = fields(chunk["usage"])["completion_tokens"];
  return {
    text: said("reasoning_content") + said("content"),
    ...(typeof finish === "string" ? { finish } : {}),
    ...(chunk["timings"] === undefined ? {} : { timings: parseTimings(chunk["timings"]) }),
    ...(served ? { served } : {}),
    ...(typeof tokens === "number" ? { tokens } : {}),
    ...(typeof chunk["model"] === "string" ? { model: chunk["model"] } : {}),
  };
}

/** What our gateway says in its last chunk. */
function servedBy(value: unknown): Completion["served"] {
  const { served_by: by, carried_over: carried } = fields(value);
  if (!Array.isArray(by) || typeof carried !== "number") return undefined;
  return {
    by: by.filter((one): one is string => typeof one === "string"),
    carriedOver: carried,
  };
}

function parseTimings(value: unknown): Timings {
  const from = fields(value);
  const number = (key: keyof Timings) => {
    const one = from[key];
    return typeof one === "number" && Number.isFinite(one) && one >= 0 ? one : 0;
  };
  return {
    cache_n: number("cache_n"),
    prompt_n: number("prompt_n"),
    prompt_per_second: number("prompt_per_second"),
    predicted_n: number("predicted_n"),
    predicted_per_second: number("predicted_per_second"),
    draft_n: number("draft_n"),
    draft_n_accepted: number("draft_n_accepted"),
  };
}

async function refusal(response: Response): Promise<ShelterError> {
  let why = `HTTP ${response.status}`;
  try {
    const message = fields(fields(await response.json())["error"])["message"];
    if (typeof message === "string") why = `${why}, ${message}`;
  } catch {
    // its body is no JSON: the status says enough
  }
  return new ShelterError("engine-refused", "the engine refused a request", why);
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}
