/** Timing two profiles on the real engine, on both loads. */
import { ShelterError } from "../../errors.ts";
import type { CallContext } from "../../unit.ts";
import { complete, type Completion } from "../complete.ts";
import type { Profile } from "../settings.ts";
import { agreement, LEAST_AGREEMENT } from "./agreement.ts";
import type { TwoLoads } from "./decide.ts";
import type { Engines } from "./engines.ts";
import { chatPrompt, rewritePrompt } from "./loads.ts";
import type { Timing, Turn } from "./search.ts";

/** Tokens of an answer on each load. */
export type Lengths = TwoLoads<number>;

/** Lengths on a machine that is quick enough, and those that still say something on one that is not. */
const FULL: Lengths = { chat: 96, rewrite: 160 };
const LEAST: Lengths = { chat: 24, rewrite: 64 };
/** Seconds that an answer on each load may take. */
const TIME: Lengths = { chat: 4, rewrite: 8 };

/** Pure: answers as long as this speed (tokens per second) allows. */
export function chooseLengths(speed: number): Lengths {
  const within = (load: keyof Lengths) =>
    Math.round(Math.min(FULL[load], Math.max(LEAST[load], speed * TIME[load])));
  return { chat: within("chat"), rewrite: within("rewrite") };
}

/**
 * Asks one engine on both loads, about text number `text`. Which comes first alternates with the turn: llama.cpp's ngram-map-k and -k4v keep what they counted for an earlier text of the same slot,
 * so that a text after another long one is drafted for no more, where one after a short chat is (measured: 1.0x against 2 to 4x).
 */
export async function askBoth(
  engines: Engines,
  profile: Profile,
  lengths: Lengths,
  { text, turn }: { readonly text: number; readonly turn: number },
  signal: AbortSignal,
): Promise<TwoLoads<Completion>> {
  const server = await engines.of(profile);
  const ask = (load: keyof Lengths) =>
    complete(server, {
      messages: load === "chat" ? chatPrompt(text) : rewritePrompt(text),
      maxTokens: lengths[load],
      cachePrompt: false,
      ignoreEnd: true,
      signal,
    });
  if (turn % 2 === 0) return { chat: await ask("chat"), rewrite: await ask("rewrite") };
  return { rewrite: await ask("rewrite"), chat: await ask("chat") };
}

/** How a search times profiles on real engines, within `budget` milliseconds from now. No text is asked for twice, whatever turn a candidate is at. */
export function realTiming(
  context: CallContext,
  engines: Engines,
  lengths: Lengths,
  budget: number,
): Timing {
  const { say, signal } = context;
  const began = performance.now();
  const spent = () => (performance.now() - began) / budget;
  let asked = 0;
  let cold = false;
  return {
    spent,
    startAnew: async () => {
      await engines.stopAll();
      cold = true;
    },
    trying: (what) => {
      say.line(`Trying ${what} (${Math.round(100 * Math.min(1, spent()))} % of the time)`);
      say.progress("tuning", Math.min(budget, performance.now() - began), budget, "ms");
    },
    time: async (base, other, turn) => {
      const text = asked++;
      const one = (profile: Profile) => askBoth(engines, profile, lengths, { text, turn }, signal);
      try {
        // the first answer of a fresh engine pays for page faults: not counted
        if (turn === 0 || cold) await warm(engines, [base, other], signal);
        cold = false;
        const swapped = turn % 2 === 1;
        const first = await one(swapped ? other : base);
        const second = await one(swapped ? base : other);
        const [ofBase, ofOther] = swapped ? [second, first] : [first, second];
        const common = agreement(ofBase.rewrite.text, ofOther.rewrite.text);
        if (common < LEAST_AGREEMENT) {
          return {
            refused: `its answer is another one: ${Math.round(common * 100)} % of the words' pairs agree`,
          };
        }
        return turnOf(ofBase, ofOther);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ShelterError)) throw error;
        return { refused: `${error.what}: ${error.why}` };
      }
    },
  };
}

async function warm(engines: Engines, profiles: readonly Profile[], signal: AbortSignal) {
  for (const profile of profiles) {
    const server = await engines.of(profile);
    await complete(server, { messages: chatPrompt(0), maxTokens: 8, cachePrompt: false, signal });
  }
}

/** Speeds of the whole request, which is what a person waits for, and of the generation alone. */
function turnOf(base: TwoLoads<Completion>, other: TwoLoads<Completion>): Turn {
  const whole = (one: Completion) => one.generatedTokens / (one.tookMs / 1000);
  const both = (of: (one: Completion) => number, from: TwoLoads<Completion>) => ({
    chat: of(from.chat),
    rewrite: of(from.rewrite),
  });
  const generation = (one: Completion) => one.generatedPerSecond;
  return {
    base: both(whole, base),
    other: both(whole, other),
    generation: { base: both(generation, base), other: both(generation, other) },
  };
}
