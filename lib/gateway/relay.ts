/** The gateway's face towards its peers: this host's own engine, and nothing further, so that a question can't go in circles. */
import { Left } from "../machine/connection.ts";
import type { Incoming, Reply } from "../machine/listen.ts";
import type { Kitchen } from "./answer.ts";
import { modelOf } from "./ask.ts";
import type { ServedModel } from "./config.ts";
import { askWhole } from "./embed.ts";
import type { Engine } from "./engine.ts";
import { engineFault, errorReply, Refusal } from "./errors.ts";
import { bodyOf, json, type House } from "./serve.ts";
import { StreamFault } from "./sse.ts";

const STREAMS = new Set(["/v1/chat/completions", "/v1/completions"]);

/** Answers a request of a paired peer. Only a cut connection tells it of a failure amid a stream. */
export async function serveRelay(
  house: Pick<House, keyof Kitchen | "bug">,
  local: Engine | undefined,
  request: Incoming,
): Promise<Reply> {
  try {
    return await relay(house, local, request);
  } catch (error) {
    if (error instanceof Left) throw error;
    if (error instanceof Refusal) return errorReply(error);
    if (error instanceof StreamFault)
      return errorReply(new Refusal(503, "engine_down", error.message, 5));
    if (!request.signal.aborted) house.bug(error);
    throw error;
  }
}

async function relay(
  kitchen: Kitchen,
  local: Engine | undefined,
  request: Incoming,
): Promise<Reply> {
  const { method, path, signal } = request;
  if (method === "GET" && path === "/shelter/health") {
    const free = local ? Math.max(0, local.config.slots - local.taken) : 0;
    return json(200, {
      schema: 1,
      engine: local?.up ? "up" : "down",
      free,
      models: local?.models ?? [],
      served: local ? servedBy(kitchen, local) : [],
    });
  }
  if (method !== "POST" || !(STREAMS.has(path) || path === "/v1/embeddings")) {
    throw new Refusal(404, "unknown_url", "there is nothing at this address");
  }
  const body = await bodyOf(kitchen, request);
  modelOf(body);
  const asked = JSON.stringify(body);
  if (!local?.up) throw new Refusal(503, "engine_down", "this host's engine is down", 5);
  if (!local.free) throw new Refusal(429, "engine_busy", "this host's engine is busy", 1);
  const place = local.take();
  kitchen.counts.relayed++;
  if (path === "/v1/embeddings") {
    try {
      const { status, text } = await askWhole(local, path, asked, signal);
      refusesOurKey(local, status);
      return { status, headers: { "Content-Type": "application/json" }, body: text };
    } finally {
      place.giveBack();
    }
  }
  return stream(local, path, asked, signal, () => place.giveBack());
}

/** The engine's own names with their files' digests: a peer sees by them which answers it may carry over to here. */
function servedBy({ models }: Kitchen, local: Engine): readonly ServedModel[] {
  return models.flatMap(({ on }) => on[local.name] ?? []);
}

/** The engine's stream as it is, byte by byte; the peer's own gateway judges it. */
async function stream(
  local: Engine,
  path: string,
  body: string,
  signal: AbortSignal,
  giveBack: () => void,
): Promise<Reply> {
  const ending = new AbortController();
  const leave = () => ending.abort(signal.reason);
  const open = local.enter((fault) => ending.abort(fault), body.length, false);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const over = () => {
    signal.removeEventListener("abort", leave);
    local.leave(open);
    giveBack();
    ending.abort(new Error("over"));
  };
  let response: Response;
  try {
    response = await local.dial(local.config.url + path, {
      method: "POST",
      headers: local.headers(),
      body,
      signal: ending.signal,
    });
  } catch {
    over();
    signal.throwIfAborted();
    local.condemn("unreachable", false);
    throw new Refusal(503, "engine_down", "this host's engine can't be reached", 5);
  }
  try {
    refusesOurKey(local, response.status);
  } catch (error) {
    over();
    throw error;
  }
  const bytes = response.body as unknown as AsyncIterable<Uint8Array> | null;
  return {
    status: response.status,
    headers: { "Content-Type": response.headers.get("content-type") ?? "application/octet-stream" },
    body: passed(local, open, bytes, over),
  };
}

/** It is between this host and its engine: a peer would take it for a word on its own key. @throws Refusal 503 */
function refusesOurKey(local: Engine, status: number): void {
  const fault = status < 400 ? undefined : engineFault("this host's engine", status);
  if (!fault) return;
  local.condemn(fault.message, false);
  throw new Refusal(503, "engine_down", fault.message, 5);
}

async function* passed(
  local: Engine,
  open: ReturnType<Engine["enter"]>,
  bytes: AsyncIterable<Uint8Array> | null,
  over: () => void,
): AsyncGenerator<Uint8Array, void> {
  try {
    if (!bytes) return;
    for await (const piece of bytes) {
      local.heard(open);
      yield piece;
    }
  } finally {
    over();
  }
}
