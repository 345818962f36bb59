/**
 * Joins the streams of several engines into the one answer that the client sees: one id, one role, no character twice and none missing.
 * Pure: pieces of engines in, chunks for the client out.
 */
import { wholeMessage, type Ask, type Said } from "./ask.ts";
import { Refusal } from "./errors.ts";
import type { Added, Fields, Piece, Progress, Timings, Usage } from "./piece.ts";
import { ANSWER_EVENTS, ANSWER_LIMIT, IDLE_EVENTS, KEPT_LIMIT } from "./limits.ts";
import { StreamFault } from "./sse.ts";
import { joinedTimings, joinedUsage, type Part } from "./usage.ts";

/** One chunk of the client's stream, as an object. */
export type Chunk = Readonly<Record<string, unknown>>;

/** Who served an answer, as its last chunk says it: headers are gone by then. */
export interface Served {
  /** Engines in the order in which they answered. */
  readonly served_by: readonly string[];
  /** How often another engine went on where one stopped. */
  readonly carried_over: number;
  /** How often it was asked anew, before anything was shown. */
  readonly started_anew: number;
}

/** What is to be done with an answer whose engine failed. */
export type NextMove = "continue" | "anew" | { readonly refuse: string };

const NOTHING: Said = { content: "", reasoning: "", tokens: 0 };

/** One answer on its way to the client. */
export class Splicer {
  #id = "";
  #created = 0;
  #model = "";
  #fingerprint: string | undefined;
  /** Choices whose role was shown. */
  #roles = new Set<number>();
  /** Shown to the client, or collected for one that gets the whole. */
  #said: Said = NOTHING;
  /** Shown in other channels: calls, logprobs, other choices. */
  #other = false;
  #held: Chunk[] = [];
  /** Ends of choices and what follows them wait for the stream's end, where the totals are known. */
  #tail: Chunk[] = [];
  #finished = new Map<number, string>();
  /** Of a continuing engine's repetition, what has not come yet. */
  #echo = { content: "", reasoning: "" };
  #parts: Part[] = [];
  #part: Part = { tokens: 0 };
  #idle = 0;
  #size = 0;
  #events = 0;
  /** Characters of the events that are collected before any is shown. */
  #kept = 0;

  constructor(
    readonly ask: Ask,
    /** The model's name as the client knows it; the engine's own where it named none. */
    readonly name: string | undefined,
  ) {}

  /** What the client has, which another engine would have to go on from. */
  get said(): Said {
    return this.#said;
  }

  /** Whether every choice has come to its end: what is still missing then are only totals. */
  get finished(): boolean {
    return this.#finished.size >= choicesOf(this.ask);
  }

  /** What to do when the engine failed; `same` says whether the next one serves the same model. */
  next(same: boolean): NextMove {
    const { ask } = this;
    const begun = this.#said.content !== "" || this.#said.reasoning !== "" || this.#other;
    if (!begun) return "anew";
    const why = !same
      ? "the other engine serves another model"
      : (ask.stays ?? (ask.holds === "all" ? "its output must be whole" : undefined));
    if (why === undefined) return "continue";
    // nobody has seen any of an answer that is given as a whole
    return ask.stream ? { refuse: why } : "anew";
  }

  /** Another engine begins. What the last one held back is forgotten: it is asked again. */
  begin(move: "continue" | "anew"): void {
    this.#held = [];
    this.#tail = [];
    this.#finished.clear();
    this.#echo = { content: "", reasoning: "" };
    if (move === "anew") {
      this.#said = NOTHING;
      this.#other = false;
      this.#parts = [];
      this.#size = 0;
      this.#events = 0;
      this.#kept = 0;
      if (!this.ask.stream) this.#roles.clear();
    } else {
      this.#parts.push({ ...this.#part, tokens: this.#said.tokens - sum(this.#parts) });
      if (this.ask.kind === "chat") this.#echo = wholeMessage(this.ask, this.#said);
    }
    this.#part = { tokens: 0 };
    this.#idle = 0;
  }

  /** What the client gets for one piece. @throws StreamFault "mismatch" where a continuing engine does not go on from what was said; "oversized"; Refusal 502 for an answer that is too large to keep */
  take(piece: Piece): Chunk[] {
    if (this.#id === "") this.#id = piece.id;
    if (this.#created === 0) this.#created = piece.created;
    if (this.#model === "") this.#model = this.name ?? piece.model;
    this.#fingerprint ??= piece.fingerprint;
    this.#learn(piece);
    const chunks: Chunk[] = [];
    let empty = true;
    for (const added of piece.added) {
      const fresh = this.#withoutEcho(added);
      if (fresh.content !== "" || fresh.reasoning !== "" || fresh.calls.length > 0) empty = false;
      this.#add(fresh, piece, chunks);
    }
    this.#idle = empty ? this.#idle + 1 : 0;
    if (this.#idle > IDLE_EVENTS || this.#size > ANSWER_LIMIT)
      throw new StreamFault("oversized", "the engine's answer has no end");
    this.#events++;
    const { stream, holds } = this.ask;
    if (!stream || holds === "all" || this.#held.length > 0) this.#kept += piece.size;
    // what was asked for may be that large: no engine is to blame, and none would do better
    if (this.#events > ANSWER_EVENTS || this.#kept > KEPT_LIMIT)
      throw new Refusal(502, "answer_too_large", "the answer is larger than can be kept");
    return chunks;
  }

  /** The last chunks, once the engine has ended well, with totals as if there had been one engine. */
  end(served: Served): Chunk[] {
    const chunks = this.#release();
    const usage = joinedUsage(this.#parts, this.#part);
    const timings = joinedTimings(this.#parts, this.#part);
    const tail = this.#tail;
    this.#tail = [];
    const usageChunk =
      this.ask.kind === "chat" || !this.ask.stream
        ? this.ask.wants.usage || !this.ask.stream
        : false;
    if (usageChunk) tail.push({ ...this.#envelope(), choices: [] });
    const last = tail.pop() ?? { ...this.#envelope(), choices: [] };
    tail.push({
      ...last,
      // llama-server counts the tokens of a plain completion without being asked
      ...(usageChunk || this.ask.kind === "text" ? { usage } : {}),
      ...(timings ? { timings } : {}),
      shelter: served,
    });
    return [...chunks, ...tail];
  }

  /** Ends an answer whose engine failed after its last token, or which has no tokens left to say. */
  close(reason: string): void {
    if (this.#finished.has(0)) return;
    this.#finished.set(0, reason);
    this.#tail.push(this.#chunk(0, {}, { finish_reason: reason }));
  }

  #learn({ usage, timings, progress }: Piece): void {
    const part: { tokens: number; usage?: Usage; timings?: Timings; progress?: Progress } =
      this.#part;
    if (progress) part.progress = progress;
    if (timings) part.timings = timings;
    if (usage) {
      // each of several answers comes with a count of its own
      const before = choicesOf(this.ask) > 1 ? part.usage : undefined;
      part.usage = before ? { ...usage, completion: before.completion + usage.completion } : usage;
    }
    this.#part = part;
  }

  /** Takes what the engine repeats off its channels, character by character. */
  #withoutEcho(added: Added): Added {
    const { content, reasoning } = this.#echo;
    if (content === "" && reasoning === "") return added;
    const thought = without(added.reasoning, reasoning);
    // its answer can't go on while a part of its thinking is still to be repeated
    if (thought.left !== "" && (added.content !== "" || added.calls.length > 0)) throw mismatch();
    const answer = without(added.content, content);
    if (answer.left !== "" && (added.calls.length > 0 || added.finish !== undefined))
      throw mismatch();
    if (added.finish !== undefined && thought.left !== "") throw mismatch();
    // thinking that goes on although the answer had begun is another answer
    if (content !== "" && thought.fresh !== "") throw mismatch();
    this.#echo = { content: answer.left, reasoning: thought.left };
    return { ...added, content: answer.fresh, reasoning: thought.fresh };
  }

  #add(added: Added, { timings, progress }: Piece, out: Chunk[]): void {
    const { ask } = this;
    const { index, content, reasoning, calls, logprobs, finish } = added;
    if (!this.#roles.has(index)) {
      this.#roles.add(index);
      if (ask.kind === "chat") out.push(this.#chunk(index, { role: "assistant", content: null }));
    }
    if (progress && ask.wants.progress && ask.stream && this.#parts.length === 0) {
      const delta = { role: "assistant", content: null };
      out.push({ ...this.#chunk(index, delta), prompt_progress: progress.all });
    }
    const extra = {
      ...(logprobs === undefined ? {} : { logprobs }),
    };
    const more = timings && ask.wants.timings ? { timings: timings.all } : {};
    if (reasoning !== "")
      this.#show(
        { ...this.#chunk(index, { reasoning_content: reasoning }, extra), ...more },
        reasoning.length,
        "text",
        out,
      );
    if (content !== "" || (ask.kind === "text" && logprobs !== undefined)) {
      this.#show(
        { ...this.#chunk(index, { content }, extra), ...more },
        content.length,
        "text",
        out,
      );
    }
    if (calls.length > 0) {
      const chunk = { ...this.#chunk(index, { tool_calls: calls }), ...more };
      this.#show(chunk, JSON.stringify(calls).length, "call", out);
    }
    if (index !== 0 || logprobs !== undefined) this.#other = true;
    if (index === 0 && (content !== "" || reasoning !== "") && ask.holds !== "all") {
      this.#said = {
        content: this.#said.content + content,
        reasoning: this.#said.reasoning + reasoning,
        tokens: sum(this.#parts) + tokensOf(timings, this.#part),
      };
      this.#part = { ...this.#part, tokens: this.#said.tokens - sum(this.#parts) };
    }
    if (finish !== undefined && !this.#finished.has(index)) {
      this.#finished.set(index, finish);
      this.#tail.push(this.#chunk(index, {}, { finish_reason: finish }));
    }
  }

  /** Shows a chunk, or holds it back. */
  #show(chunk: Chunk, size: number, what: "text" | "call", out: Chunk[]): void {
    this.#size += size;
    const { holds } = this.ask;
    if (holds === "all" || (holds === "calls" && (what === "call" || this.#held.length > 0))) {
      this.#held.push(chunk);
    } else {
      out.push(chunk);
      if (what === "call") this.#other = true;
    }
  }

  #release(): Chunk[] {
    const chunks = this.#held;
    this.#held = [];
    return chunks;
  }

  #envelope(): Chunk {
    return {
      id: this.#id,
      created: this.#created,
      model: this.#model,
      ...(this.#fingerprint === undefined ? {} : { system_fingerprint: this.#fingerprint }),
      object: this.ask.kind === "chat" ? "chat.completion.chunk" : "text_completion",
    };
  }

  #chunk(index: number, delta: Fields, choice: Fields = {}): Chunk {
    const what =
      this.ask.kind === "chat" ? { delta } : { text: delta["content"] ?? "", logprobs: null };
    return {
      choices: [{ finish_reason: null, index, ...what, ...choice }],
      ...this.#envelope(),
    };
  }
}

/** How many answers an ask gets. */
function choicesOf(ask: Ask): number {
  const n = ask.body["n"] ?? ask.body["n_cmpl"];
  const answers = typeof n === "number" && n > 1 ? n : 1;
  const { prompt } = ask.body;
  const prompts =
    ask.kind === "text" && Array.isArray(prompt) && prompt.some((one) => typeof one !== "number")
      ? prompt.length
      : 1;
  return answers * prompts;
}

/** Tokens of this engine's part after one more text: by its own count, else one for each text. */
function tokensOf(timings: Timings | undefined, part: Part): number {
  return timings && timings.tokens > 0 ? timings.tokens : part.tokens + 1;
}

/** Takes `echo` off the front of `text`: what is fresh, and what of the echo is still to come. @throws StreamFault "mismatch" */
function without(text: string, echo: string): { fresh: string; left: string } {
  const shared = Math.min(text.length, echo.length);
  if (text.slice(0, shared) !== echo.slice(0, shared)) throw mismatch();
  return { fresh: text.slice(shared), left: echo.slice(shared) };
}

function mismatch(): StreamFault {
  return new StreamFault("mismatch", "the other engine did not go on from what was said");
}

function sum(parts: readonly Part[]): number {
  return parts.reduce((tokens, part) => tokens + part.tokens, 0);
}
