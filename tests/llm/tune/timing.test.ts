/** Timing on engines that remember: what they gain by their memory of an earlier text is no gain for the next person. */
import { describe, expect, test } from "bun:test";
import { stages } from "../../../lib/llm/tune/candidates.ts";
import type { Engines } from "../../../lib/llm/tune/engines.ts";
import { search } from "../../../lib/llm/tune/search.ts";
import { realTiming } from "../../../lib/llm/tune/timing.ts";
import type { Server } from "../../../lib/llm/server.ts";
import type { Profile, Speculation } from "../../../lib/llm/settings.ts";
import type { CallContext } from "../../../lib/unit.ts";
import { USUAL_PROFILE } from "../../support/profile.ts";

/** Milliseconds of an answer. */
const SLOW = 24;
const FAST = 6;
const TOKENS = 48;

/** One request as an engine gets it, and what it was asked since it started. */
interface Heard {
  readonly text: string;
  readonly rewrite: boolean;
  readonly before: readonly { readonly text: string; readonly rewrite: boolean }[];
}

/** Engines of which one speculation is fast where `isFast` says so, all others never. */
function remembering(of: Speculation, isFast: (heard: Heard) => boolean) {
  const all = new Map<string, { text: string; rewrite: boolean }[]>();
  const engines: Engines = {
    of: (profile) => {
      const key = JSON.stringify(profile);
      const before = all.get(key) ?? [];
      all.set(key, before);
      return Promise.resolve(engineOf(profile, before));
    },
    stopAll: () => Promise.resolve(),
  };
  const engineOf = (profile: Profile, before: { text: string; rewrite: boolean }[]) =>
    ({
      post: async (_path: string, body: unknown) => {
        const { messages } = body as { messages: { role: string; content: string }[] };
        const one = { text: JSON.stringify(messages), rewrite: messages.length > 1 };
        const fast = profile.speculation === of && isFast({ ...one, before: [...before] });
        before.push(one);
        await Bun.sleep(fast ? FAST : SLOW);
        return new Response(answer(fast ? FAST : SLOW));
      },
    }) as unknown as Server;
  return { engines, all };
}

function answer(ms: number): string {
  const chunk = {
    choices: [{ index: 0, delta: { content: "as it was" }, finish_reason: "length" }],
  };
  const timings = {
    prompt_n: 1,
    prompt_ms: 1,
    prompt_per_second: 1000,
    predicted_n: TOKENS,
    predicted_ms: ms,
    predicted_per_second: (TOKENS / ms) * 1000,
  };
  const end = { choices: [], usage: { completion_tokens: TOKENS, prompt_tokens: 1 }, timings };
  return [chunk, end, "[DONE]"]
    .map((one) => `data: ${typeof one === "string" ? one : JSON.stringify(one)}\n\n`)
    .join("");
}

async function tuned(of: Speculation, isFast: (heard: Heard) => boolean) {
  const { engines, all } = remembering(of, isFast);
  const silent = () => undefined;
  const context = {
    say: { line: silent, detail: silent, progress: silent, stream: silent },
    signal: new AbortController().signal,
  } as unknown as CallContext;
  const plan = stages({ cores: [], fast: [], logical: 4, gpu: false, usual: USUAL_PROFILE }).filter(
    ({ name }) => name === "speculation",
  );
  const timing = realTiming(context, engines, { chat: TOKENS, rewrite: TOKENS }, 60_000);
  return { found: await search(USUAL_PROFILE, plan, timing), all };
}

describe("a tuning", () => {
  test("keeps speculation that is fast on every new text that is written again", async () => {
    const { found } = await tuned("ngram-simple", ({ rewrite }) => rewrite);
    expect(found.profile.speculation).toBe("ngram-simple");
    expect(found.gain.rewrite).toBeGreaterThan(2);
  });

  test("rejects what is fast only on texts that this engine was asked before", async () => {
    const { found, all } = await tuned("ngram-simple", ({ text, before }) =>
      before.some((one) => one.text === text),
    );
    expect(found.profile).toEqual(USUAL_PROFILE);
    for (const heard of all.values()) {
      const rewritten = heard.filter(({ rewrite }) => rewrite).map(({ text }) => text);
      expect(new Set(rewritten).size).toBe(rewritten.length);
    }
  });

  test("rejects what is fast only behind a short chat, as ngram-map-k is", async () => {
    const { found } = await tuned(
      "ngram-simple",
      ({ rewrite, before }) => rewrite && before.at(-1)?.rewrite !== true,
    );
    expect(found.profile).toEqual(USUAL_PROFILE);
  });
});
