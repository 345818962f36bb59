/** One event of an engine's stream, checked: what llama-server v0.5.0 sends for chats and completions. */
import { parseJson } from "./json.ts";
import { DONE, StreamFault } from "./sse.ts";

/** A JSON object from outside. */
export type Fields = Readonly<Record<string, unknown>>;

/** What one choice of an event adds. */
export interface Added {
  readonly index: number;
  /** Text of the answer; "" for none. */
  readonly content: string;
  readonly reasoning: string;
  /** Parts of tool calls, as they came. */
  readonly calls: readonly Fields[];
  readonly logprobs?: unknown;
  /** "stop", "length", "tool_calls" … when this choice has ended. */
  readonly finish?: string;
}

/** Tokens of prompt and answer. */
export interface Usage {
  readonly prompt: number;
  readonly cached: number;
  readonly completion: number;
}

/** llama-server's `timings`, those that are reckoned with. Times are milliseconds. */
export interface Timings {
  readonly cached: number;
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly tokens: number;
  readonly tokensMs: number;
  /** As it came. */
  readonly all: Fields;
}

/** llama-server's `prompt_progress`: tokens of the prompt, and those of them that are done. */
export interface Progress {
  readonly total: number;
  readonly processed: number;
  /** As it came. */
  readonly all: Fields;
}

/** One event. */
export interface Piece {
  /** Characters of the event. */
  readonly size: number;
  readonly id: string;
  readonly created: number;
  readonly model: string;
  readonly fingerprint?: string;
  readonly added: readonly Added[];
  readonly usage?: Usage;
  readonly timings?: Timings;
  readonly progress?: Progress;
  /** The engine gave up: its own words. */
  readonly error?: { readonly status: number; readonly body: string };
}

/** Choices that one event may carry, and the highest index: OpenAI's `n` is at most 128. */
const CHOICES = 128;

/** Reads an event; "done" for the one that ends a stream. @throws StreamFault "malformed" */
export function parsePiece(data: string): Piece | "done" {
  if (data === DONE) return "done";
  let value: unknown;
  try {
    value = parseJson(data);
  } catch {
    throw new StreamFault("malformed", "the engine sent an event that is no JSON to be read");
  }
  const from = fields(value);
  if (!from) throw new StreamFault("malformed", "the engine sent an event that is no object");
  const error = fields(from["error"]);
  if (error) {
    const code = error["code"];
    return {
      ...NOTHING,
      error: { status: typeof code === "number" ? code : 500, body: data },
    };
  }
  const choices = from["choices"];
  if (!Array.isArray(choices) || choices.length > CHOICES) {
    throw new StreamFault("malformed", "the engine sent an event without choices");
  }
  const fingerprint = from["system_fingerprint"];
  const usage = parseUsage(from["usage"]);
  const timings = parseTimings(from["timings"]);
  const progress = parseProgress(from["prompt_progress"]);
  return {
    size: data.length,
    id: text(from["id"], 200),
    created: count(from["created"]),
    model: text(from["model"], 200),
    ...(typeof fingerprint === "string" ? { fingerprint: fingerprint.slice(0, 200) } : {}),
    added: choices.map(parseAdded),
    ...(usage ? { usage } : {}),
    ...(timings ? { timings } : {}),
    ...(progress ? { progress } : {}),
  };
}

const NOTHING: Piece = { size: 0, id: "", created: 0, model: "", added: [] };

function parseAdded(value: unknown): Added {
  const choice = fields(value);
  const index = choice?.["index"];
  if (
    !choice ||
    typeof index !== "number" ||
    !Number.isInteger(index) ||
    index < 0 ||
    index >= CHOICES
  ) {
    throw new StreamFault("malformed", "the engine sent a choice without a place");
  }
  const delta = fields(choice["delta"]) ?? {};
  const calls = delta["tool_calls"];
  const finish = choice["finish_reason"];
  const content = delta["content"] ?? choice["text"];
  const reasoning = delta["reasoning_content"];
  for (const one of [content, reasoning]) {
    if (one != null && typeof one !== "string") {
      throw new StreamFault("malformed", "the engine sent text that is none");
    }
  }
  return {
    index,
    content: typeof content === "string" ? content : "",
    reasoning: typeof reasoning === "string" ? reasoning : "",
    calls: Array.isArray(calls)
      ? calls.flatMap((call): readonly Fields[] => asList(fields(call)))
      : [],
    ...(choice["logprobs"] == null ? {} : { logprobs: choice["logprobs"] }),
    ...(typeof finish === "string" ? { finish: finish.slice(0, 40) } : {}),
  };
}

function parseUsage(value: unknown): Usage | undefined {
  const from = fields(value);
  if (!from) return undefined;
  return {
    prompt: count(from["prompt_tokens"]),
    completion: count(from["completion_tokens"]),
    cached: count(fields(from["prompt_tokens_details"])?.["cached_tokens"]),
  };
}

function parseTimings(value: unknown): Timings | undefined {
  const from = fields(value);
  if (!from) return undefined;
  return {
    cached: count(from["cache_n"]),
    promptTokens: count(from["prompt_n"]),
    promptMs: amount(from["prompt_ms"]),
    tokens: count(from["predicted_n"]),
    tokensMs: amount(from["predicted_ms"]),
    all: from,
  };
}

function parseProgress(value: unknown): Progress | undefined {
  const from = fields(value);
  if (!from) return undefined;
  return { total: count(from["total"]), processed: count(from["processed"]), all: from };
}

/** An object, or undefined for anything else. */
export function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined;
}

function asList<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}

function text(value: unknown, most: number): string {
  return typeof value === "string" ? value.slice(0, most) : "";
}

function amount(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : 0;
}

function count(value: unknown): number {
  return Math.min(Math.trunc(amount(value)), Number.MAX_SAFE_INTEGER);
}
