/** What a client asks for, and what that means for carrying its answer over to another engine. */
import { Refusal } from "./errors.ts";
import { parseJson } from "./json.ts";
import { fields, type Fields } from "./piece.ts";

/** Text that was said so far, by channel. */
export interface Said {
  readonly content: string;
  readonly reasoning: string;
  /** Tokens of both, as the engines counted them. */
  readonly tokens: number;
}

/** A request for a chat or a completion, understood. */
export interface Ask {
  readonly kind: "chat" | "text";
  /** The model's name as the client wrote it; undefined where it left the choice to us. */
  readonly model: string | undefined;
  readonly body: Fields;
  /** The client wants a stream; else one whole answer. */
  readonly stream: boolean;
  /** What the client wants in its stream besides the answer. */
  readonly wants: {
    readonly usage: boolean;
    readonly progress: boolean;
    readonly timings: boolean;
  };
  /** What is shown only when it is whole: parts of tool calls, or everything of an answer that must parse. */
  readonly holds: "nothing" | "calls" | "all";
  /** Why an answer that has begun can't be continued by another engine; undefined where it can. */
  readonly stays: string | undefined;
  /** Most tokens of the answer. */
  readonly limit: number | undefined;
  /** Each next token is the likeliest: the answer is always the same. */
  readonly greedy: boolean;
  /** The client's own last message where it is the assistant's: the engine goes on from there, and repeats it unless told not to. */
  readonly opening:
    | { readonly text: string; readonly reasoning: string; readonly echoed: boolean }
    | undefined;
}

/** Names for the longest answer, the one that counts first (OpenAI's two, llama-server's own). */
const LIMITS = ["n_predict", "max_completion_tokens", "max_tokens"] as const;

/** A body as JSON. @throws Refusal 400 "invalid_json" */
export function parseBody(bytes: Buffer): Fields {
  let body: Fields | undefined;
  try {
    body = fields(parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new Refusal(400, "invalid_json", "the request's body is nested too deep");
    }
    throw new Refusal(400, "invalid_json", "the request's body is not valid JSON");
  }
  if (!body) throw new Refusal(400, "invalid_json", "the request's body is not a JSON object");
  return body;
}

/** The model that a body names. @throws Refusal 400 where it is no name. */
export function modelOf(body: Fields): string | undefined {
  const model = body["model"] ?? undefined;
  if (model === undefined || model === "") return undefined;
  if (typeof model !== "string" || model.length > 200) {
    throw new Refusal(400, "invalid_model", "model must be a name of at most 200 characters");
  }
  return model;
}

/** Understands a request. @throws Refusal 400 where it is none. */
export function parseAsk(kind: Ask["kind"], body: Fields): Ask {
  const model = modelOf(body);
  if (kind === "chat" && !Array.isArray(body["messages"])) {
    throw new Refusal(400, "invalid_messages", "messages must be a list");
  }
  if (kind === "text" && body["prompt"] == null) {
    throw new Refusal(400, "invalid_prompt", "prompt is missing");
  }
  for (const key of ["stream", "return_progress", "timings_per_token"]) {
    if (body[key] != null && typeof body[key] !== "boolean") {
      throw new Refusal(400, `invalid_${key}`, `${key} must be true or false`);
    }
  }
  const limit = LIMITS.map((key) => body[key]).find((value) => value != null);
  if (limit !== undefined && !Number.isInteger(limit)) {
    throw new Refusal(400, "invalid_max_tokens", "max_tokens must be a whole number");
  }
  const structured = isStructured(body);
  return {
    kind,
    model,
    body,
    stream: body["stream"] === true,
    wants: {
      usage: fields(body["stream_options"])?.["include_usage"] === true,
      progress: body["return_progress"] === true,
      timings: body["timings_per_token"] === true,
    },
    holds: structured ? "all" : offersTools(body) ? "calls" : "nothing",
    stays: whyItStays(kind, body),
    greedy: isGreedy(body),
    limit: limit !== undefined && (limit as number) >= 0 ? (limit as number) : undefined,
    opening: kind === "chat" ? openingOf(body) : undefined,
  };
}

/** Output that must be whole to mean anything: half of it, continued by an engine that forgot the grammar's state, would not parse. */
function isStructured(body: Fields): boolean {
  const format = fields(body["response_format"])?.["type"];
  const forced =
    body["tool_choice"] != null && body["tool_choice"] !== "auto" && body["tool_choice"] !== "none";
  return (
    (format != null && format !== "text") ||
    body["json_schema"] != null ||
    (body["grammar"] != null && body["grammar"] !== "") ||
    (forced && offersTools(body))
  );
}

function isGreedy(body: Fields): boolean {
  return body["temperature"] === 0 || body["top_k"] === 1;
}

function offersTools(body: Fields): boolean {
  return Array.isArray(body["tools"]) && body["tools"].length > 0 && body["tool_choice"] !== "none";
}

/** The first reason why an answer can't change engines once it has begun. Each is told to the client by its own words. */
function whyItStays(kind: Ask["kind"], body: Fields): string | undefined {
  const number = (key: string) => (typeof body[key] === "number" ? body[key] : undefined);
  if ((number("n") ?? number("n_cmpl") ?? 1) > 1)
    return "it asked for several answers at once (n > 1)";
  if (body["logprobs"] === true || (number("logprobs") ?? 0) > 0 || (number("n_probs") ?? 0) > 0) {
    return "it asked for logprobs";
  }
  // a seed promises the same text again: only the sampler that began it can keep that
  if ((number("seed") ?? -1) >= 0 && !isGreedy(body)) return "it asked for a seed with sampling";
  if ((number("mirostat") ?? 0) > 0) return "mirostat's state can't be handed on";
  if ((number("reasoning_budget_tokens") ?? number("thinking_budget_tokens") ?? -1) >= 0) {
    return "a reasoning budget's state can't be handed on";
  }
  if (kind === "text" && typeof body["prompt"] !== "string") return "its prompt is not one text";
  if (kind === "chat" && openingOf(body) === undefined && lastRole(body) === "assistant") {
    return "its last message is the assistant's and not one text";
  }
  return undefined;
}

function lastMessage(body: Fields): Fields | undefined {
  const messages = body["messages"];
  return Array.isArray(messages) ? fields(messages.at(-1)) : undefined;
}

function lastRole(body: Fields): unknown {
  return lastMessage(body)?.["role"];
}

function openingOf(body: Fields): Ask["opening"] {
  const last = lastMessage(body);
  const content = last?.["content"] ?? "";
  const reasoning = last?.["reasoning_content"] ?? "";
  if (
    last?.["role"] !== "assistant" ||
    typeof content !== "string" ||
    typeof reasoning !== "string"
  ) {
    return undefined;
  }
  if (last["tool_calls"] != null) return undefined;
  // llama-server v0.5.0: a continuation that is only implied is repeated, one that is asked for only with `echo`
  const asked = body["continue_final_message"] != null && body["continue_final_message"] !== false;
  return { text: content, reasoning, echoed: !asked || body["echo"] === true };
}

/** What an engine is asked: always for a stream, with progress and counts, under its own name of the model. */
export function engineBody(ask: Ask, model: string | undefined, said?: Said): Fields {
  const { stream: _, ...body } = ask.body;
  const common: Fields = {
    ...body,
    ...(model === undefined ? {} : { model }),
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    timings_per_token: true,
  };
  if (!said || (said.content === "" && said.reasoning === "")) return common;
  const left: Record<string, unknown> = { ...common };
  if (ask.limit !== undefined) {
    for (const key of LIMITS) delete left[key];
    left["max_tokens"] = Math.max(0, ask.limit - said.tokens);
  }
  if (ask.kind === "text") {
    return { ...left, prompt: `${ask.body["prompt"] as string}${said.content}` };
  }
  const messages = ask.body["messages"] as readonly unknown[];
  const whole = wholeMessage(ask, said);
  return {
    ...left,
    messages: [
      ...(ask.opening ? messages.slice(0, -1) : messages),
      {
        role: "assistant",
        content: whole.content,
        ...(whole.reasoning === "" ? {} : { reasoning_content: whole.reasoning }),
      },
    ],
    continue_final_message: true,
    add_generation_prompt: false,
    echo: true,
  };
}

/** What an engine is asked so that it reads, and keeps what it read: no token is wanted (llama-server v0.5.0). */
export function readingBody(ask: Ask, model: string | undefined, said?: Said): Fields {
  const { n_predict: _, max_completion_tokens: __, ...body } = engineBody(ask, model, said);
  return { ...body, n: 1, max_tokens: 0 };
}

/** The assistant's message so far: what the client began with and what was said, each once. The engine that continues repeats exactly this. */
export function wholeMessage(ask: Ask, said: Said): { content: string; reasoning: string } {
  const { opening } = ask;
  if (!opening || opening.echoed) return { content: said.content, reasoning: said.reasoning };
  return { content: opening.text + said.content, reasoning: opening.reasoning + said.reasoning };
}
