/** One answer: asked of one engine after another until it is whole, and shown as if there had been one. */
import { engineBody, type Ask } from "./ask.ts";
import type { Bodies } from "./bodies.ts";
import { readBounded, engineBodyLimit } from "./bounded.ts";
import type { Counts } from "./counts.ts";
import type { Engine, OpenStream } from "./engine.ts";
import { engineFault, engineRefusal, Refusal, Unable } from "./errors.ts";
import { exchange } from "./exchange.ts";
import { sameModel, wantedModel, type Wanted } from "./mapping.ts";
import type { ModelConfig } from "./config.ts";
import { parsePiece, type Piece } from "./piece.ts";
import { readAsSaid } from "./steps.ts";
import type { Pool } from "./pool.ts";
import { Splicer, type Chunk, type Served } from "./splice.ts";
import { EventReader, StreamFault } from "./sse.ts";
import { warm } from "./warm.ts";

/** What happens to an answer: a chunk more, or everything that was collected is void. */
export type Happening = { readonly chunk: Chunk } | { readonly anew: true };

/** What an answer is made with. */
export interface Kitchen {
  readonly pool: Pool;
  readonly models: readonly ModelConfig[];
  readonly counts: Counts;
  /** Room for the requests of all. */
  readonly bodies: Bodies;
  /** Whether the next engine reads each prompt ahead. */
  readonly warm: boolean;
}

/** An answer on its way. */
export interface Answering {
  /** Who serves and how often it changed, as of now. */
  served(): Served;
  /** @throws Refusal where it can't be given or ended, or the reason of the signal. */
  readonly happenings: AsyncGenerator<Happening, void>;
}

const PATHS = { chat: "/v1/chat/completions", text: "/v1/completions" } as const;

/** Begins an answer. Nothing is asked before the first happening is. @throws Refusal 404 for an unknown model */
export function answer(kitchen: Kitchen, ask: Ask, signal: AbortSignal): Answering {
  const served = { served_by: [] as string[], carried_over: 0, started_anew: 0 };
  const wanted = wantedModel(kitchen.models, ask.model);
  return {
    served: () => ({ ...served, served_by: [...served.served_by] }),
    happenings: happen(kitchen, ask, wanted, served, signal),
  };
}

async function* happen(
  { pool, counts, warm: warms }: Kitchen,
  ask: Ask,
  wanted: Wanted,
  served: { served_by: string[]; carried_over: number; started_anew: number },
  signal: AbortSignal,
): AsyncGenerator<Happening, void> {
  const splicer = new Splicer(ask, wanted.name);
  const unable = new Set<string>();
  /** The one whose words the client has, and the one that failed last. */
  let speaker: Engine | undefined;
  let failed: Engine | undefined;
  let problem: Refusal | undefined;
  const warming = new AbortController();
  /** Since when engines have said that they are busy. */
  let waiting: number | undefined;
  /** Engines that were shown what was said so far. */
  const read = new Set<string>();
  for (let attempt = 1; ; attempt++) {
    if (attempt > pool.limits.attempts) {
      throw problem ?? new Refusal(502, "engines_failed", `${attempt - 1} attempts failed`, 5);
    }
    const need = { wanted, unable, begun: attempt > 1, ...(failed ? { avoid: failed.name } : {}) };
    const place = await pool.placeFor(need, signal).catch((error: unknown) => {
      // when every engine has refused it, the first one's words say more than "nobody does this"; so does what broke an answer off
      const said = error instanceof Refusal && (error.status === 404 || speaker !== undefined);
      throw said && problem ? problem : error;
    });
    const { engine } = place;
    try {
      const move = speaker ? splicer.next(sameModel(wanted, speaker.name, engine.name)) : "anew";
      if (typeof move === "object") {
        throw new Refusal(
          502,
          "not_carried_over",
          `the engine failed amid the answer, and it could not be carried over: ${move.refuse}`,
        );
      }
      if (attempt > 1) splicer.begin(move);
      const left = ask.limit === undefined ? 1 : ask.limit - splicer.said.tokens;
      if (splicer.said.tokens > 0 && left <= 0) {
        splicer.close("length"); // the last token was said; only its end was lost
      } else {
        const model = wanted.at(engine.name)?.name;
        const path = PATHS[ask.kind];
        // once for each: where others take the place between two steps, going on at once is worth more
        if (move === "continue" && !read.has(engine.name)) {
          read.add(engine.name);
          await readAsSaid(engine, path, ask, model, splicer.said, signal);
        }
        const body = JSON.stringify(engineBody(ask, model, splicer.said));
        let silent = true;
        for await (const piece of exchange(engine, { path, body, signal }, (response, stream) =>
          pieces(engine, response, stream),
        )) {
          const chunks = splicer.take(piece);
          if (silent) {
            silent = false;
            waiting = undefined;
            if (served.served_by.at(-1) !== engine.name) served.served_by.push(engine.name);
            if (speaker && move === "continue") {
              served.carried_over++;
              counts.carriedOver++;
            } else if (speaker) {
              served.started_anew++;
              counts.startedAnew++;
              if (!ask.stream) yield { anew: true };
            }
            speaker = engine;
            read.clear();
            if (warms) void warm(pool, ask, wanted, engine, warming.signal);
          }
          for (const chunk of chunks) yield { chunk };
        }
        if (!splicer.finished) throw new StreamFault("cut", "the engine's stream ended too early");
      }
    } catch (error) {
      signal.throwIfAborted();
      failed = engine;
      if (error instanceof Unable) {
        // an answer that has begun may be refused here and go on there; one that has not is refused as it is
        problem ??= error.refusal;
        unable.add(engine.name);
        if (error.final && splicer.said.tokens === 0) throw error.refusal;
        continue;
      }
      if (!(error instanceof StreamFault)) throw error;
      counts.faults[error.kind] = (counts.faults[error.kind] ?? 0) + 1;
      if (error.kind === "mismatch") unable.add(engine.name);
      else if (!SPARED.has(error.kind)) engine.condemn(error.message, false);
      if (error.kind === "busy") {
        // busy is not dead: it is asked again as long as anybody may wait
        waiting ??= pool.now();
        if (pool.now() - waiting > pool.limits.queueTime) {
          throw new Refusal(503, "queue_timeout", "no engine had a free place in time", 10);
        }
        attempt--;
        continue;
      }
      problem = new Refusal(502, "engines_failed", error.message, 5);
      if (!splicer.finished) continue;
    } finally {
      place.giveBack();
      // read or not: nobody needs it ahead any more
      warming.abort(new Error("over"));
    }
    for (const chunk of splicer.end({ ...served, served_by: [...served.served_by] }))
      yield { chunk };
    return;
  }
}

/** Faults that say nothing of the engine, or for which it was judged already. */
const SPARED: ReadonlySet<StreamFault["kind"]> = new Set(["condemned", "stalled", "busy"]);

/** The pieces of one engine's stream, to its very end. @throws StreamFault or Unable */
async function* pieces(
  engine: Engine,
  response: Response,
  stream: OpenStream,
): AsyncGenerator<Piece, void> {
  if (response.status !== 200) await refuse(engine, response);
  if (
    !response.body ||
    !(response.headers.get("content-type") ?? "").startsWith("text/event-stream")
  ) {
    throw new StreamFault("malformed", "the engine's answer is no stream");
  }
  const reader = new EventReader();
  let last = performance.now();
  let timings: Piece["timings"];
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    engine.heard(stream);
    for (const event of reader.push(bytes)) {
      const piece = parsePiece(event);
      if (piece === "done") {
        engine.learn(timings);
        return;
      }
      if (piece.error) throw gaveUp(engine, piece.error);
      timings = piece.timings ?? timings;
      const now = performance.now();
      const { flow } = stream;
      const begun = flow.progress !== undefined || flow.speaking;
      stream.flow = {
        asked: flow.asked,
        slowest: begun ? Math.max(flow.slowest, now - last) : 0,
        speaking:
          flow.speaking || piece.added.some((one) => one.content !== "" || one.reasoning !== ""),
        ...(piece.progress
          ? { progress: piece.progress }
          : flow.progress
            ? { progress: flow.progress }
            : {}),
      };
      stream.awaited = false;
      yield piece;
      stream.awaited = true;
      last = performance.now(); // how long the client took is no step of the engine
    }
  }
  throw new StreamFault("cut", `the stream of ${engine.name} was cut`);
}

/** How long an engine that says it is busy is left alone, whatever it says of that, in milliseconds. */
const [BUSY_LEAST, BUSY_MOST] = [250, 5000];

async function refuse(engine: Engine, response: Response): Promise<never> {
  const { status } = response;
  const text = await readBounded(response, engineBodyLimit);
  const refusal = engineRefusal(status, text);
  if (status === 429) {
    const seconds = Number(response.headers.get("retry-after")) || 1;
    engine.busyUntil = engine.now() + Math.min(BUSY_MOST, Math.max(BUSY_LEAST, seconds * 1000));
    throw new StreamFault("busy", `${engine.name} is busy`);
  }
  if (status === 503) throw new StreamFault("gave-up", `${engine.name}: ${refusal.message}`);
  const fault = engineFault(engine.name, status);
  if (fault) throw fault;
  // 404: it has no such model; others may. 5xx: what it chokes on need not choke the others.
  if (status === 404 || status >= 500) {
    throw new Unable(
      status === 404 ? refusal : new Refusal(502, refusal.code, refusal.message),
      false,
    );
  }
  throw new Unable(refusal, true);
}

/** An engine's error amid a stream. */
function gaveUp(
  { name }: Engine,
  { status, body }: { readonly status: number; readonly body: string },
): Error {
  const refusal = engineRefusal(status, body);
  if (status < 400 || status >= 500) return new StreamFault("gave-up", refusal.message);
  return engineFault(name, status) ?? new Unable(refusal, true);
}
