/** Folds the chunks of a stream into the one document that a client gets who asked for no stream. */
import { fields, type Fields } from "./piece.ts";
import type { Chunk } from "./splice.ts";

interface Call {
  id?: unknown;
  type?: unknown;
  name: string;
  arguments: string;
}

interface Choice {
  content: string;
  reasoning: string;
  calls: Call[];
  logprobs: unknown[] | undefined;
  finish: unknown;
}

/** Collects chunks; `whole` is the document of all of them. */
export class Fold {
  #choices = new Map<number, Choice>();
  #envelope: Chunk = {};
  #totals: Record<string, unknown> = {};

  constructor(readonly kind: "chat" | "text") {}

  add(chunk: Chunk): void {
    const { choices, usage, timings, shelter, prompt_progress: _, ...envelope } = chunk;
    this.#envelope = envelope;
    for (const [name, value] of Object.entries({ usage, timings, shelter })) {
      if (value !== undefined) this.#totals[name] = value;
    }
    for (const choice of choices as readonly Fields[]) this.#addChoice(choice);
  }

  /** The answer is begun anew: what was collected is forgotten. */
  clear(): void {
    this.#choices.clear();
    this.#totals = {};
  }

  /** As llama-server v0.5.0 gives it. */
  whole(): Fields {
    const choices = [...this.#choices.entries()].sort(([a], [b]) => a - b);
    return {
      choices: choices.map(([index, choice]) => ({
        finish_reason: choice.finish,
        index,
        ...(this.kind === "chat" ? { message: message(choice) } : { text: choice.content }),
        ...(choice.logprobs
          ? { logprobs: { content: choice.logprobs } }
          : this.kind === "text"
            ? { logprobs: null }
            : {}),
      })),
      ...this.#envelope,
      object: this.kind === "chat" ? "chat.completion" : "text_completion",
      ...this.#totals,
    };
  }

  #addChoice(from: Fields): void {
    const index = from["index"] as number;
    const choice = this.#choices.get(index) ?? {
      content: "",
      reasoning: "",
      calls: [],
      logprobs: undefined,
      finish: null,
    };
    this.#choices.set(index, choice);
    const delta = fields(from["delta"]) ?? { content: from["text"] };
    if (typeof delta["content"] === "string") choice.content += delta["content"];
    if (typeof delta["reasoning_content"] === "string")
      choice.reasoning += delta["reasoning_content"];
    for (const call of (delta["tool_calls"] ?? []) as readonly Fields[])
      addCall(choice.calls, call);
    const logprobs = fields(from["logprobs"])?.["content"];
    if (Array.isArray(logprobs)) {
      choice.logprobs ??= [];
      for (const one of logprobs as unknown[]) choice.logprobs.push(one);
    }
    if (from["finish_reason"] != null) choice.finish = from["finish_reason"];
  }
}

/** Tool calls that one answer may hold. */
const CALLS = 1024;

/** A part of a tool call: the first brings id and name, the others more of the arguments. */
function addCall(calls: Call[], part: Fields): void {
  const at = part["index"];
  const index = typeof at === "number" && Number.isInteger(at) && at >= 0 ? Math.min(at, CALLS) : 0;
  const call = (calls[index] ??= { name: "", arguments: "" });
  const { name, arguments: more } = fields(part["function"]) ?? {};
  if (part["id"] != null) call.id = part["id"];
  if (part["type"] != null) call.type = part["type"];
  if (typeof name === "string") call.name += name;
  if (typeof more === "string") call.arguments += more;
}

function message({ content, reasoning, calls }: Choice): Fields {
  const whole = calls.filter(Boolean).map((call) => ({
    type: call.type ?? "function",
    function: { name: call.name, arguments: call.arguments },
    ...(call.id === undefined ? {} : { id: call.id }),
  }));
  return {
    role: "assistant",
    content,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(whole.length > 0 ? { tool_calls: whole } : {}),
  };
}
