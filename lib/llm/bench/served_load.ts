/** A served load: requests to a running engine, one, two and four at once. */
import { complete, type Asked, type Completion } from "../complete.ts";
import { filledPrompt } from "./loads.ts";
import type { Profile } from "../settings.ts";
import type { LoadSize, ServedFigures } from "./results.ts";
import { stat } from "./stats.ts";

/** Requests at once that are measured. */
export const CONCURRENT = [1, 2, 4] as const;
/** Rounds of each: enough for a median and a spread. */
export const ROUNDS = 3;

/** One round: what each request gave, and how long the whole took, in milliseconds. */
export interface Round {
  readonly concurrent: number;
  readonly answers: readonly Completion[];
  readonly tookMs: number;
}

/**
 * Asks `concurrent` different questions at once and waits for all. Caches of earlier prompts are off and every answer has the same length, so that
 * rounds can be compared.
 */
export async function serveRound(
  engine: Asked,
  load: LoadSize,
  concurrent: number,
  turn: number,
  signal: AbortSignal,
): Promise<Round> {
  const began = performance.now();
  const answers = await Promise.all(
    Array.from({ length: concurrent }, (_, i) =>
      complete(engine, {
        messages: filledPrompt(load.prompt, turn * 8 + i),
        maxTokens: load.generate,
        cachePrompt: false,
        ignoreEnd: true,
        signal,
      }),
    ),
  );
  return { concurrent, answers, tookMs: performance.now() - began };
}

/** Serves all rounds, one after another; `onRound` hears of each. */
export async function serveLoad(
  engine: Asked,
  load: LoadSize,
  signal: AbortSignal,
  onRound: () => void,
): Promise<readonly ServedFigures[]> {
  await serveRound(engine, { ...load, generate: Math.min(8, load.generate) }, 1, 0, signal);
  const rounds: Round[] = [];
  let turn = 1;
  for (let round = 0; round < ROUNDS; round++) {
    // the numbers in turns, so that a machine that grows warmer meanwhile counts for all of them alike
    for (const concurrent of CONCURRENT) {
      rounds.push(await serveRound(engine, load, concurrent, turn++, signal));
      onRound();
    }
  }
  return CONCURRENT.map((concurrent) =>
    servedFigures(rounds.filter((round) => round.concurrent === concurrent)),
  );
}

/** Pure: the figures of rounds with the same number of requests. */
export function servedFigures(rounds: readonly Round[]): ServedFigures {
  const answers = rounds.flatMap((round) => round.answers);
  const ofRound = ({ answers: all, tookMs }: Round) =>
    all.reduce((sum, one) => sum + one.generatedTokens, 0) / (tookMs / 1000);
  return {
    concurrent: rounds[0]?.concurrent ?? 0,
    prompt: stat(answers.map((one) => one.promptPerSecond)),
    generation: stat(answers.map((one) => one.generatedPerSecond)),
    firstTokenMs: stat(answers.map((one) => one.firstTokenMs)),
    total: stat(rounds.map(ofRound)),
  };
}

/** Tokens that a load needs of a profile's context when `CONCURRENT` at most are served. */
export function contextFor(load: LoadSize, { kvUnified }: Pick<Profile, "kvUnified">): number {
  // the chat template and a prompt that tokenises longer than thought take some more
  const each = Math.ceil(load.prompt * 1.5) + load.generate + 128;
  return kvUnified ? Math.max(...CONCURRENT) * each : each;
}
