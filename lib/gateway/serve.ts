/** The gateway's face towards agents and people on this host: routes, key, and answers as streams or as wholes. */
import { Left, Slow, TooLarge } from "../machine/connection.ts";
import type { Incoming, Reply } from "../machine/listen.ts";
import { answer, type Answering, type Happening, type Kitchen } from "./answer.ts";
import { modelOf, parseAsk, parseBody, type Ask } from "./ask.ts";
import { embed } from "./embed.ts";
import { errorDocument, errorReply, Refusal } from "./errors.ts";
import { Fold } from "./fold.ts";
import { carriesKey } from "./key.ts";
import { listModels } from "./models.ts";
import type { Fields } from "./piece.ts";
import type { Served } from "./splice.ts";
import { DONE, formatEvent } from "./sse.ts";

/** What the face needs. */
export interface House extends Kitchen {
  /** The key that clients must bring; undefined while it can't be read: then nobody comes in. */
  readonly key: () => string | undefined;
  readonly status: () => Fields;
  /** Hears of errors that should not happen. */
  readonly bug: (error: unknown) => void;
}

/** How long a stream may be silent before it gets a comment, so that nothing on the way takes it for dead, in milliseconds. */
const HEARTBEAT = 10_000;

/** Answers a request of a client. Never throws: what can't be answered is refused in OpenAI's shape. */
export async function serveClient(house: House, request: Incoming): Promise<Reply> {
  try {
    return await route(house, request);
  } catch (error) {
    if (request.signal.aborted) {
      house.counts.left++;
      throw error;
    }
    return errorReply(asRefusal(house, error));
  }
}

async function route(house: House, request: Incoming): Promise<Reply> {
  const { method, path } = request;
  if (method === "GET" && path === "/health") {
    const up = house.pool.engines.some((one) => one.up);
    return json(up ? 200 : 503, { status: up ? "ok" : "no engine is up" });
  }
  const key = house.key();
  if (key === undefined || !carriesKey(request.headers.get("authorization"), key)) {
    throw new Refusal(401, "invalid_api_key", "the API key is missing or wrong");
  }
  const routes: Readonly<Record<string, () => Promise<Reply>>> = {
    "GET /v1/models": async () => json(200, listModels(house)),
    "GET /shelter/status": async () => json(200, house.status()),
    "POST /v1/chat/completions": () => generate(house, "chat", request),
    "POST /v1/completions": () => generate(house, "text", request),
    "POST /v1/embeddings": async () => {
      const body = await bodyOf(house, request);
      house.counts.asked++;
      const given = await embed(house, body, modelOf(body), request.signal);
      house.counts.answered++;
      return {
        status: 200,
        headers: { "Content-Type": JSON_TYPE, ...servedBy(given.served) },
        body: given.text,
      };
    },
  };
  const found = routes[`${method} ${path}`];
  if (found) return found();
  const others = Object.keys(routes).filter((one) => one.endsWith(` ${path}`));
  if (others.length > 0)
    throw new Refusal(405, "method_not_allowed", `${path} is not for ${method.slice(0, 20)}`);
  throw new Refusal(404, "unknown_url", "there is nothing at this address");
}

/** The whole body as JSON, or why not. Its size is judged before it is read where the client says it; its memory counts until its answer is given. */
export async function bodyOf(house: Kitchen, request: Incoming): Promise<Fields> {
  const { body } = house.pool.limits;
  const tooLarge = () =>
    new Refusal(413, "body_too_large", `the request is larger than ${body} bytes`);
  if ((request.length ?? 0) > body) throw tooLarge();
  const share = house.bodies.share(body);
  void request.over.then(() => share.giveBack());
  share.announced(request.length ?? 0);
  try {
    const whole = await request.body(body, (bytes) => share.came(bytes));
    share.whole(whole);
    return parseBody(whole);
  } catch (error) {
    if (error instanceof TooLarge) throw tooLarge();
    if (error instanceof Slow)
      throw new Refusal(408, "body_too_slow", "the request took too long to arrive");
    throw error;
  }
}

async function generate(house: House, kind: Ask["kind"], request: Incoming): Promise<Reply> {
  const ask = parseAsk(kind, await bodyOf(house, request));
  house.counts.asked++;
  const answering = answer(house, ask, request.signal);
  if (!ask.stream) {
    const whole = await fold(ask, answering.happenings);
    house.counts.answered++;
    return json(200, whole, servedBy(answering.served()));
  }
  // headers go out with the first event: until then a refusal still has its own status
  const first = await answering.happenings.next();
  return {
    status: 200,
    headers: {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-store",
      "X-Accel-Buffering": "no",
      ...servedBy(answering.served()),
    },
    body: events(house, answering, first),
  };
}

async function fold(ask: Ask, happenings: AsyncIterable<Happening>): Promise<Fields> {
  const collected = new Fold(ask.kind);
  for await (const one of happenings) {
    if ("anew" in one) collected.clear();
    else collected.add(one.chunk);
  }
  return collected.whole();
}

/** A stream's text. A failure amid it comes as an event of OpenAI's error shape, without the end mark: no client can take the part for the whole. */
async function* events(
  house: House,
  answering: Answering,
  first: IteratorResult<Happening, void>,
): AsyncGenerator<string, void> {
  const { happenings } = answering;
  let next = Promise.resolve(first);
  let over = false;
  try {
    for (;;) {
      const step = await orHeartbeat(next);
      if (step === "heartbeat") {
        yield ": waiting\n\n";
        continue;
      }
      if (step.done) break;
      if ("chunk" in step.value) yield formatEvent(JSON.stringify(step.value.chunk));
      next = happenings.next();
    }
    over = true;
    house.counts.answered++;
    yield formatEvent(DONE);
  } catch (error) {
    if (over || error instanceof Left) throw error;
    over = true;
    yield formatEvent(errorDocument(asRefusal(house, error)));
  } finally {
    if (!over) house.counts.left++;
    // not waited for: what it waits for itself may end only when the connection is cut, which comes after this
    happenings.return().catch((error: unknown) => {
      if (!(error instanceof Left)) house.bug(error);
    });
  }
}

async function orHeartbeat<T>(next: Promise<T>): Promise<T | "heartbeat"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const beat = new Promise<"heartbeat">((resolve) => {
      timer = setTimeout(() => resolve("heartbeat"), HEARTBEAT);
    });
    return await Promise.race([next, beat]);
  } finally {
    clearTimeout(timer);
  }
}

function asRefusal(house: House, error: unknown): Refusal {
  const refusal =
    error instanceof Refusal
      ? error
      : new Refusal(500, "gateway_error", "the gateway failed on this request");
  house.counts.refused[refusal.code] = (house.counts.refused[refusal.code] ?? 0) + 1;
  if (!(error instanceof Refusal)) house.bug(error);
  return refusal;
}

const JSON_TYPE = "application/json; charset=utf-8";

/** A document as an answer. */
export function json(
  status: number,
  value: Fields,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { "Content-Type": JSON_TYPE, ...headers },
    body: `${JSON.stringify(value)}\n`,
  };
}

/** Who served, in headers. A stream's are those of its start; its last chunk says it for the whole (`shelter`). */
export function servedBy(served: Served): Record<string, string> {
  return {
    "X-Shelter-Served-By": served.served_by.join(", "),
    "X-Shelter-Carried-Over": String(served.carried_over),
    "X-Shelter-Started-Anew": String(served.started_anew),
  };
}
