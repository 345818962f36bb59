/** Refusals in the shape that OpenAI's clients read (platform.openai.com/docs/guides/error-codes). */
import type { Reply } from "../machine/listen.ts";
import { StreamFault } from "./sse.ts";

/** A refusal: an HTTP status, a stable code for programs, a sentence for people, and when to try again. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    /** Stable, e.g. "queue_full". */
    readonly code: string,
    message: string,
    /** Seconds after which another try makes sense. */
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** OpenAI's own names for what kind of error a status is. */
function kindOf(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  if (status === 503) return "unavailable_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

/** The document that a client gets: also the last event of a stream that could not be ended well. */
export function errorDocument({ status, code, message }: Refusal): string {
  return JSON.stringify({ error: { message, type: kindOf(status), param: null, code } });
}

/** A refusal as a whole answer. */
export function errorReply(
  refusal: Refusal,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status: refusal.status,
    headers: {
      ...headers,
      "Content-Type": "application/json; charset=utf-8",
      ...(refusal.retryAfter === undefined ? {} : { "Retry-After": String(refusal.retryAfter) }),
      ...(refusal.status === 401 ? { "WWW-Authenticate": "Bearer" } : {}),
    },
    body: `${errorDocument(refusal)}\n`,
  };
}

/** The engine refuses this request. `final`: another would too, for it is the request's own fault. */
export class Unable extends Error {
  constructor(
    readonly refusal: Refusal,
    readonly final: boolean,
  ) {
    super(refusal.message);
  }
}

/** Longest message of an engine that is passed on, in characters. */
const WORDS = 500;

/** An engine's own refusal of a request, e.g. a prompt that does not fit: its words, bounded and without control characters. */
export function engineRefusal(status: number, body: string): Refusal {
  let message = "the engine refused the request";
  let kind = "engine_refused";
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown; type?: unknown } };
    if (typeof error?.message === "string") {
      message = error.message.replace(/[^\x20-\x7e\u00a0-\uffff]/g, " ").slice(0, WORDS);
    }
    if (typeof error?.type === "string" && /^\w{1,60}$/.test(error.type)) kind = error.type;
  } catch {
    // not the shape of an engine: the sentence above stands
  }
  return new Refusal(status, kind, message);
}

/** Why a status is the engine's own failure and no word on the request; undefined for any other. A client must never hear of it as if its own key were wrong. */
export function engineFault(name: string, status: number): StreamFault | undefined {
  if (status === 401 || status === 403)
    return new StreamFault("gave-up", `${name} refuses our key`);
  if (status < 400) return new StreamFault("malformed", `${name} sends us elsewhere`);
  return undefined;
}

/** What is noted of an error that should not happen. */
export function bugNote(error: unknown): string {
  return `an error that should not happen: ${placeOf(error)}`;
}

/** An error's kind and place: its message may quote what a client sent. */
export function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const frame = error.stack?.split("\n").find((line) => line.trim().startsWith("at "));
  return `${error.name} ${frame?.trim() ?? ""}`;
}
