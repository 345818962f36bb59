/** Server-sent events (WHATWG HTML 9.2) out of bytes from an engine that may be broken, cut, or hostile: bounded in every direction. */
import { EVENT_LIMIT } from "./limits.ts";

/** The stream can't be believed any further: it broke off, stalled, or is no stream of this kind. */
export class StreamFault extends Error {
  constructor(
    /** Stable, e.g. "cut", "stalled", "malformed", "oversized", "condemned". */
    readonly kind:
      | "cut"
      | "stalled"
      | "malformed"
      | "oversized"
      | "condemned"
      | "gave-up"
      | "mismatch"
      | "busy",
    why: string,
  ) {
    super(why);
  }
}

/** Puts events together from bytes, however these are split. */
export class EventReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #rest = "";
  #data = "";
  #has = false;
  /** Characters since the last event, comments included: these may keep a stream alive, but not for ever. */
  #since = 0;

  /** The data of each event that is whole after these bytes. @throws StreamFault "malformed" for bytes that are no UTF-8, "oversized" */
  push(bytes: Uint8Array): string[] {
    let text: string;
    try {
      text = this.#decoder.decode(bytes, { stream: true });
    } catch {
      throw new StreamFault("malformed", "the engine sent bytes that are no UTF-8");
    }
    const events: string[] = [];
    this.#since += text.length;
    this.#rest += text;
    let from = 0;
    for (;;) {
      const end = this.#rest.indexOf("\n", from);
      if (end < 0) break;
      const line = this.#rest.slice(
        from,
        this.#rest[end - 1] === "\r" ? Math.max(from, end - 1) : end,
      );
      from = end + 1;
      if (line === "") {
        if (this.#has) {
          events.push(this.#data);
          this.#since = this.#rest.length - from;
        }
        this.#data = "";
        this.#has = false;
      } else if (line.startsWith("data:")) {
        const more = line.slice(line.startsWith("data: ") ? 6 : 5);
        this.#data = this.#has ? `${this.#data}\n${more}` : more;
        this.#has = true;
      }
    }
    this.#rest = this.#rest.slice(from);
    if (this.#since > EVENT_LIMIT) {
      throw new StreamFault("oversized", "the engine sent an event without end");
    }
    return events;
  }
}

/** An event as it is sent. */
export function formatEvent(data: string): string {
  return `data: ${data}\n\n`;
}

/** The end of a stream, as OpenAI's clients expect it. */
export const DONE = "[DONE]";
