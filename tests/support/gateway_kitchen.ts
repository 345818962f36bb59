/** A pool of scripted engines, and answers from it as a client would see them. */
import { answer, type Kitchen } from "../../lib/gateway/answer.ts";
import { Bodies } from "../../lib/gateway/bodies.ts";
import { parseAsk } from "../../lib/gateway/ask.ts";
import type { ModelConfig } from "../../lib/gateway/config.ts";
import { noCounts } from "../../lib/gateway/counts.ts";
import { Engine } from "../../lib/gateway/engine.ts";
import { Fold } from "../../lib/gateway/fold.ts";
import { DEFAULT_LIMITS, type Limits } from "../../lib/gateway/limits.ts";
import { Pool } from "../../lib/gateway/pool.ts";
import type { Chunk } from "../../lib/gateway/splice.ts";
import type { ScriptedEngine } from "./scripted_engine.ts";

export interface TestKitchen extends Kitchen {
  readonly engines: readonly Engine[];
  stop(): void;
}

/** Engines "a", "b" … in their order, all up; no monitor watches them. */
export function kitchenOf(
  scripted: readonly ScriptedEngine[],
  options: {
    readonly limits?: Partial<Limits>;
    readonly models?: readonly ModelConfig[];
    readonly slots?: number;
    readonly warm?: boolean;
  } = {},
): TestKitchen {
  const engines = scripted.map((one, at) => {
    const name = String.fromCharCode(97 + at);
    const config = {
      name,
      kind: "local",
      url: `http://127.0.0.1:${at + 1}`,
      slots: options.slots ?? 4,
    } as const;
    const engine = new Engine(
      config,
      one.dial,
      () => undefined,
      () => Date.now(),
    );
    engine.prove(true);
    return engine;
  });
  const pool = new Pool(engines, { ...DEFAULT_LIMITS, outageTime: 300, ...options.limits }, () =>
    Date.now(),
  );
  const stop = pool.start();
  return {
    engines,
    pool,
    models: options.models ?? [],
    warm: options.warm ?? false,
    counts: noCounts(),
    bodies: new Bodies(),
    stop,
  };
}

/** What a client of a stream got. */
export interface Seen {
  readonly chunks: readonly Chunk[];
  readonly text: string;
  readonly reasoning: string;
  readonly error?: unknown;
}

/** Asks for a stream and reads it to its end, however that is. */
export async function streamOf(
  kitchen: Kitchen,
  kind: "chat" | "text",
  body: Record<string, unknown>,
  signal = new AbortController().signal,
): Promise<Seen> {
  const chunks: Chunk[] = [];
  let error: unknown;
  try {
    const ask = parseAsk(kind, { ...body, stream: true });
    for await (const one of answer(kitchen, ask, signal).happenings) {
      if ("chunk" in one) chunks.push(one.chunk);
    }
  } catch (thrown) {
    error = thrown;
  }
  return {
    chunks,
    text: said(chunks, "content"),
    reasoning: said(chunks, "reasoning_content"),
    ...(error === undefined ? {} : { error }),
  };
}

/** Asks for a whole answer. */
export async function wholeOf(
  kitchen: Kitchen,
  kind: "chat" | "text",
  body: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const fold = new Fold(kind);
  for await (const one of answer(kitchen, parseAsk(kind, body), new AbortController().signal)
    .happenings) {
    if ("anew" in one) fold.clear();
    else fold.add(one.chunk);
  }
  return { ...fold.whole() };
}

/** The first choice of a chunk. */
export function choiceOf(chunk: Chunk | undefined): Record<string, unknown> | undefined {
  return (chunk?.["choices"] as readonly Record<string, unknown>[] | undefined)?.[0];
}

function said(chunks: readonly Chunk[], channel: string): string {
  return chunks
    .map((chunk) => {
      const choice = choiceOf(chunk);
      const delta = (choice?.["delta"] ?? {}) as Record<string, unknown>;
      const found = delta[channel] ?? (channel === "content" ? choice?.["text"] : undefined);
      return typeof found === "string" ? found : "";
    })
    .join("");
}
