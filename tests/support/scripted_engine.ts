/**
 * An engine whose answers a test writes: it speaks like llama-server v0.5.0 (recorded shapes), byte by byte, and can be cut, stalled or made hostile anywhere.
 */
import type { Dial } from "../../lib/machine/dial.ts";

/** What the engine would say, were it never disturbed. */
export interface Script {
  /** The answer in its tokens. */
  readonly tokens: readonly string[];
  /** Thinking before it. */
  readonly thoughts?: readonly string[];
  /** Parts of tool calls after the text, each the `tool_calls` of one delta. */
  readonly calls?: readonly unknown[];
  /** "stop" when left out. */
  readonly finish?: string;
  readonly promptTokens?: number;
}

/** How the world treats one stream. */
export interface Trouble {
  /** Bytes after which the stream is cut; never when left out. */
  readonly cutAt?: number;
  /** Bytes after which it goes silent. */
  readonly stallAt?: number;
  /** Sizes into which its bytes are split, in turns. */
  readonly pieces?: readonly number[];
  /** Text in the place of the continued part's repetition. */
  readonly echo?: string;
  /** Answers with this instead. */
  readonly reply?: () => Response;
}

/** What an engine was asked. */
export interface Asked {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly authorization: string | undefined;
  /** Fires when the asker left. */
  readonly signal: AbortSignal;
}

/** A scripted engine. */
export interface ScriptedEngine {
  readonly dial: Dial;
  /** Completions that it was asked for, in order. */
  readonly asked: Asked[];
  /** False makes its health refuse connections. */
  alive: boolean;
}

const MODEL = "scripted";
let ids = 0;

/** The whole stream of one answer, as text. */
export function streamText(
  script: Script,
  body: Readonly<Record<string, unknown>>,
  trouble: Trouble = {},
): string {
  const chat = Array.isArray(body["messages"]);
  const id = `chatcmpl-${++ids}`;
  const created = 1_700_000_000 + ids;
  const envelope = {
    created,
    id,
    model: MODEL,
    system_fingerprint: "b1",
    object: chat ? "chat.completion.chunk" : "text_completion",
  };
  const events: string[] = [];
  const said = chat ? lastSaid(body) : undefined;
  const answer = script.tokens.join("");
  const thought = (script.thoughts ?? []).join("");
  const before = said ?? textSaid(script, body);
  const prompt = (script.promptTokens ?? 10) + before.tokens;
  const limit =
    typeof body["max_tokens"] === "number" ? body["max_tokens"] : Number.POSITIVE_INFINITY;
  let made = 0;
  const timings = () => ({
    cache_n: 0,
    prompt_n: prompt,
    prompt_ms: prompt * 2,
    predicted_n: made,
    predicted_ms: made * 5,
  });
  const send = (
    delta: Record<string, unknown>,
    more: Record<string, unknown> = {},
    finish: string | null = null,
  ) =>
    events.push(
      JSON.stringify({
        choices: [
          chat
            ? { finish_reason: finish, index: 0, delta }
            : { text: delta["content"] ?? "", index: 0, logprobs: null, finish_reason: finish },
        ],
        ...envelope,
        ...more,
      }),
    );
  const role = { role: "assistant", content: null };
  const progress = (processed: number) => ({
    prompt_progress: { total: prompt, cache: 0, processed, time_ms: 0 },
    timings: timings(),
  });
  send(role, progress(0));
  if (chat && before.reasoning !== "") send({ reasoning_content: before.reasoning });
  if (chat && before.content !== "") send({ content: trouble.echo ?? before.content });
  send(role, progress(prompt));
  send(role);
  const thoughts = rest(script.thoughts ?? [], before.reasoning);
  const tokens =
    before.content === "" || answer.startsWith(before.content)
      ? rest(script.tokens, before.content)
      : ["?"];
  let cutShort = false;
  const say = (delta: Record<string, unknown>) => {
    if (made >= limit) {
      cutShort = true;
      return;
    }
    made++;
    send(delta, { timings: timings() });
  };
  if (before.content === "" || before.reasoning.length < thought.length)
    for (const one of thoughts) say({ reasoning_content: one });
  for (const one of tokens) say({ content: one });
  for (const one of script.calls ?? []) say({ tool_calls: [one] });
  const finish = cutShort ? "length" : (script.finish ?? (script.calls ? "tool_calls" : "stop"));
  const usage = {
    completion_tokens: made,
    prompt_tokens: prompt,
    total_tokens: prompt + made,
    prompt_tokens_details: { cached_tokens: 0 },
  };
  if (chat) {
    send({}, {}, finish);
    events.push(JSON.stringify({ choices: [], ...envelope, usage, timings: timings() }));
  } else {
    send({ content: "" }, { usage, timings: timings() }, finish);
  }
  events.push("[DONE]");
  return events.map((event) => `data: ${event}\n\n`).join("");
}

/** What of the tokens is left after `said`; a token that was cut in the middle gives its rest. */
function rest(tokens: readonly string[], said: string): readonly string[] {
  let skip = said.length;
  return tokens.flatMap((token) => {
    const taken = Math.min(skip, token.length);
    skip -= taken;
    const left = token.slice(taken);
    return left === "" ? [] : [left];
  });
}

interface Before {
  readonly content: string;
  readonly reasoning: string;
  readonly tokens: number;
}

function lastSaid(body: Readonly<Record<string, unknown>>): Before | undefined {
  const last = (body["messages"] as readonly Record<string, unknown>[]).at(-1);
  if (last?.["role"] !== "assistant") return { content: "", reasoning: "", tokens: 0 };
  const text = (key: string) => (typeof last[key] === "string" ? last[key] : "");
  const content = text("content");
  const reasoning = text("reasoning_content");
  return { content, reasoning, tokens: content.length + reasoning.length };
}

/** A completion's prompt is "P:" and what was said. */
function textSaid(_script: Script, body: Readonly<Record<string, unknown>>): Before {
  const content = String(body["prompt"]).slice("P:".length);
  return { content, reasoning: "", tokens: content.length };
}

/** An engine that says the script; each stream in turn gets the next trouble, and none once they are used up. */
export function scriptedEngine(script: Script, troubles: readonly Trouble[] = []): ScriptedEngine {
  const asked: Asked[] = [];
  const engine: ScriptedEngine = {
    asked,
    alive: true,
    dial: (url, request) => {
      const { pathname } = new URL(url);
      if (!engine.alive) return Promise.reject(new Error("refused"));
      if (request.method === "GET") {
        return Promise.resolve(
          Response.json(pathname === "/v1/models" ? { data: [{ id: MODEL }] } : { status: "ok" }),
        );
      }
      const body = JSON.parse(request.body ?? "{}") as Record<string, unknown>;
      if (body["stream"] !== true)
        return Promise.resolve(Response.json({ choices: [{ text: "x" }] }));
      const trouble = troubles[asked.length] ?? {};
      asked.push({
        path: pathname,
        body,
        authorization: request.headers["Authorization"],
        signal: request.signal,
      });
      if (trouble.reply) return Promise.resolve(trouble.reply());
      return Promise.resolve(
        new Response(
          bytesOf(Buffer.from(streamText(script, body, trouble)), trouble, request.signal),
          {
            headers: { "Content-Type": "text/event-stream" },
          },
        ),
      );
    },
  };
  return engine;
}

/** The bytes as the world lets them through. */
export function bytesOf(
  whole: Buffer,
  trouble: Trouble,
  signal: AbortSignal,
): ReadableStream<Uint8Array> {
  const {
    cutAt = Number.POSITIVE_INFINITY,
    stallAt = Number.POSITIVE_INFINITY,
    pieces = [whole.length],
  } = trouble;
  const end = Math.min(whole.length, cutAt, stallAt);
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    start(controller) {
      signal.addEventListener("abort", () => {
        try {
          controller.error(signal.reason);
        } catch {
          // it is over already
        }
      });
    },
    pull(controller) {
      if (at < end) {
        const size = Math.max(1, pieces[turn++ % pieces.length] ?? 1);
        controller.enqueue(whole.subarray(at, Math.min(end, at + size)));
        at = Math.min(end, at + size);
        return undefined;
      }
      if (end === whole.length) controller.close();
      else if (end === cutAt) controller.error(new Error("connection reset"));
      else return new Promise<void>(() => undefined);
      return undefined;
    },
  });
}
