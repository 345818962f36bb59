/** The search, on machines whose speeds are made up. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { stages, type TuningFacts } from "../../../lib/llm/tune/candidates.ts";
import type { TwoLoads } from "../../../lib/llm/tune/decide.ts";
import { search, type Timing } from "../../../lib/llm/tune/search.ts";
import type { Profile } from "../../../lib/llm/settings.ts";
import { USUAL_PROFILE } from "../../support/profile.ts";

const FACTS: TuningFacts = {
  cores: [0, 1, 2, 3],
  fast: [],
  logical: 8,
  gpu: false,
  usual: USUAL_PROFILE,
};

/** A machine on which a profile has these speeds; `noise` is asked for each sample. */
function machine(
  speed: (profile: Profile, turn: number) => TwoLoads<number> | undefined,
  options: {
    readonly noise?: () => number;
    readonly turns?: number;
    readonly startAnew?: () => void;
  } = {},
): Timing & { readonly pairs: () => number } {
  let pairs = 0;
  const noise = options.noise ?? (() => 1);
  return {
    pairs: () => pairs,
    spent: () => pairs / (options.turns ?? 10_000),
    trying: () => undefined,
    startAnew: () => Promise.resolve(options.startAnew?.()),
    time: (base, other, turn) => {
      pairs += 1;
      const [a, b] = [speed(base, turn), speed(other, turn)];
      if (!a || !b) return Promise.resolve({ refused: "the engine ended with code 1" });
      const noisy = ({ chat, rewrite }: TwoLoads<number>) => ({
        chat: chat * noise(),
        rewrite: rewrite * noise(),
      });
      return Promise.resolve({ base: noisy(a), other: noisy(b) });
    },
  };
}
const ofThreads = ({ threads }: Profile) => 20 * Math.min(threads, 4) * (threads > 4 ? 0.9 : 1);

describe("the search", () => {
  test("finds and beats a planted slow profile", async () => {
    const slow: Profile = { ...USUAL_PROFILE, threads: 1, ubatch: 128 };
    const found = await search(
      slow,
      stages(FACTS),
      machine((profile) => ({ chat: ofThreads(profile), rewrite: ofThreads(profile) })),
    );
    expect(found.profile.threads).toBe(4);
    expect(found.gain.chat).toBeCloseTo(4, 1);
    expect(found.tried.find(({ what }) => what === "the usual profile of this host")?.kept).toBe(
      true,
    );
  });

  test("rejects a planted fake gain: fast while it is tried, not when it is proven", async () => {
    let asked = 0;
    const fake = machine((profile) => {
      if (profile.speculation !== "ngram-mod") return { chat: 100, rewrite: 100 };
      asked += 1;
      return asked <= 3 ? { chat: 150, rewrite: 200 } : { chat: 100, rewrite: 100 };
    });
    const found = await search(USUAL_PROFILE, stages(FACTS), fake);
    expect(found.profile).toEqual(USUAL_PROFILE);
    expect(found.gain).toEqual({ chat: 1, rewrite: 1 });
    expect(found.tried.every(({ kept }) => !kept)).toBe(true);
    expect(found.tried.at(-1)?.why).toContain("no gain beyond the spread");
  });

  test("proves the next best of its stage where the best one's gain does not hold", async () => {
    let asked = 0;
    const found = await search(
      USUAL_PROFILE,
      stages(FACTS),
      machine(({ speculation }) => {
        // three times as fast as long as it is tried
        const fading = speculation === "ngram-mod" && (asked += 1) <= 3 ? 300 : 100;
        return { chat: 100, rewrite: speculation === "ngram-simple" ? 200 : fading };
      }),
    );
    expect(found.profile).toEqual({ ...USUAL_PROFILE, speculation: "ngram-simple" });
    expect(found.gain.rewrite).toBeCloseTo(2, 1);
    expect(found.tried.filter(({ kept }) => kept).map(({ what }) => what)).toEqual([
      "speculation ngram-simple alone, once more against the start",
    ]);
  });

  test("rejects a gain that was one process's luck", async () => {
    let started = 0;
    const lucky = machine(
      ({ speculation }) => {
        // where it lies in memory is good for a tenth, and the next time for nothing
        const luck = speculation === "ngram-mod" && started % 2 === 0 ? 1.1 : 1;
        return { chat: 100 * luck, rewrite: 100 * luck };
      },
      { startAnew: () => (started += 1) },
    );
    const found = await search(USUAL_PROFILE, stages(FACTS), lucky);
    expect(started).toBeGreaterThan(3);
    expect(found.profile).toEqual(USUAL_PROFILE);
  });

  test("keeps what speeds up rewriting and leaves chat as it was", async () => {
    const found = await search(
      USUAL_PROFILE,
      stages(FACTS),
      machine(({ speculation }) => {
        const rewrite = { "ngram-simple": 160, "ngram-mod": 220, "ngram-cache": 130 }[
          speculation as string
        ];
        return { chat: speculation === "ngram-cache" ? 80 : 100, rewrite: rewrite ?? 100 };
      }),
    );
    expect(found.profile.speculation).toBe("ngram-mod");
    expect(found.gain).toEqual({ chat: 1, rewrite: 2.2 });
    const cache = found.tried.find(({ what }) => what === "speculation ngram-cache");
    expect(cache?.kept).toBe(false);
    expect(cache?.why).toContain("chat");
  });

  test("takes more pairs in the proof where noise hides whether the other load loses", async () => {
    const proofOf = async (chat: (turn: number) => number) => {
      let pairs = 0;
      let trying = "";
      const found = await search(USUAL_PROFILE, stages(FACTS), {
        spent: () => 0,
        startAnew: () => Promise.resolve(),
        trying: (what) => (trying = what),
        time: (base, other, turn) => {
          if (trying.startsWith("all that was kept")) pairs += 1;
          const gain = other.speculation === base.speculation ? 1 : 3;
          const noise = trying.endsWith("against the start") ? chat(turn) : 1;
          return Promise.resolve({
            base: { chat: 100, rewrite: 100 },
            other: { chat: 100 * noise, rewrite: 100 * gain },
          });
        },
      });
      return { pairs, kept: found.profile.speculation !== "none" };
    };
    expect(await proofOf(() => 1)).toEqual({ pairs: 7, kept: true });
    const wide = await proofOf((turn) => [1.3, 0.75, 1, 1.2, 0.8][turn % 5] ?? 1);
    expect(wide.pairs).toBeGreaterThan(7);
    expect(wide.pairs).toBeLessThanOrEqual(21);
    const lossy = await proofOf((turn) => [0.9, 0.6, 0.8, 0.7, 1][turn % 5] ?? 1);
    expect(lossy.kept).toBe(false);
  });

  test("gives a candidate another chance where bad luck on one load hides a gain on the other", async () => {
    const tryOf = async (chat: readonly number[]) => {
      let pairs = 0;
      let trying = "";
      const found = await search(USUAL_PROFILE, stages(FACTS), {
        spent: () => 0,
        trying: (what) => (trying = what),
        startAnew: () => Promise.resolve(),
        time: (base, other, turn) => {
          const tried = trying === "speculation ngram-mod";
          if (tried) pairs += 1;
          const gain = other.speculation === "ngram-mod" && base.speculation === "none" ? 2 : 1;
          return Promise.resolve({
            base: { chat: 100, rewrite: 100 },
            other: { chat: 100 * (tried ? (chat[turn] ?? 1) : 1), rewrite: 100 * gain },
          });
        },
      });
      return { pairs, kept: found.profile.speculation === "ngram-mod" };
    };
    expect(await tryOf([1, 1, 1])).toEqual({ pairs: 3, kept: true });
    expect(await tryOf([0.9, 0.92, 1, 1, 1])).toEqual({ pairs: 4, kept: true });
    expect(await tryOf(Array.from({ length: 30 }, () => 0.9))).toEqual({ pairs: 9, kept: false });
    expect(await tryOf([0.5, 0.5, 0.5])).toEqual({ pairs: 2, kept: false });
  });

  test("goes on where the engine refuses a setting", async () => {
    const found = await search(
      USUAL_PROFILE,
      stages(FACTS),
      machine(({ cacheTypeK, speculation }) => {
        if (cacheTypeK === "q8_0" || speculation === "ngram-map-k") return undefined;
        return { chat: 100, rewrite: speculation === "ngram-simple" ? 150 : 100 };
      }),
    );
    expect(found.profile.speculation).toBe("ngram-simple");
    expect(found.tried.find(({ what }) => what === "KV cache q8_0")).toMatchObject({
      kept: false,
      why: "the engine ended with code 1",
    });
  });

  test("keeps nothing that it had no time to prove, and says what was not tried", async () => {
    const short = machine(
      ({ speculation }) => ({ chat: 100, rewrite: speculation === "ngram-simple" ? 300 : 100 }),
      { turns: 6 },
    );
    const found = await search(USUAL_PROFILE, stages(FACTS), short);
    expect(short.pairs()).toBeLessThanOrEqual(6 + 7);
    const untried = found.tried.filter(({ why }) => why === "not tried: the time was over");
    expect(untried.length).toBeGreaterThan(0);
  });

  test("never ends with a profile that is worse on a load, whatever the speeds and the noise", async () => {
    const noise = fc.array(fc.double({ min: 0.97, max: 1.03, noNaN: true }), { minLength: 7 });
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.double({ min: 0.5, max: 2, noNaN: true })),
        noise,
        async (factors, shakes) => {
          const speeds = new Map<string, TwoLoads<number>>();
          const truth = (profile: Profile): TwoLoads<number> => {
            const key = JSON.stringify(profile);
            const known = speeds.get(key) ?? {
              chat: 100 * (factors.next().value ?? 1),
              rewrite: 100 * (factors.next().value ?? 1),
            };
            speeds.set(key, known);
            return known;
          };
          let at = 0;
          const shaken = machine(truth, { noise: () => shakes[at++ % shakes.length] ?? 1 });
          const found = await search(USUAL_PROFILE, stages(FACTS), shaken);
          const [start, end] = [truth(USUAL_PROFILE), truth(found.profile)];
          // 3 % of noise on each side of a ratio, 5 % that may be excused
          expect(end.chat).toBeGreaterThan(start.chat * 0.88);
          expect(end.rewrite).toBeGreaterThan(start.rewrite * 0.88);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("candidates", () => {
  const all = (facts: TuningFacts, best: Profile) =>
    stages(facts).flatMap((stage) => stage.candidates(best));
  test("never repeat what is served, and differ from each other", () => {
    for (const stage of stages(FACTS)) {
      const profiles = stage
        .candidates(USUAL_PROFILE)
        .map(({ profile }) => JSON.stringify(profile));
      expect(profiles).not.toContain(JSON.stringify(USUAL_PROFILE));
      expect(new Set(profiles).size).toBe(profiles.length);
    }
  });
  test("cover threads, pinning, batch, flash attention, KV type and speculation; layers with a GPU alone", () => {
    const changed = (facts: TuningFacts) =>
      new Set(
        all(facts, USUAL_PROFILE).flatMap(({ profile }) =>
          (Object.keys(profile) as (keyof Profile)[]).filter(
            (key) => JSON.stringify(profile[key]) !== JSON.stringify(USUAL_PROFILE[key]),
          ),
        ),
      );
    const wanted: (keyof Profile)[] = [
      "threads",
      "cpus",
      "ubatch",
      "flashAttention",
      "cacheTypeK",
      "speculation",
    ];
    for (const key of wanted) expect(changed(FACTS)).toContain(key);
    expect(changed(FACTS)).not.toContain("gpuLayers");
    expect(changed({ ...FACTS, gpu: true })).toContain("gpuLayers");
  });
  test("pin to the fast cores of a hybrid where they suffice", () => {
    const hybrid: TuningFacts = { ...FACTS, cores: [0, 2, 4, 6, 8, 9], fast: [0, 2, 4, 6] };
    const pinned = all(hybrid, { ...USUAL_PROFILE, threads: 4 }).find(({ what }) =>
      what.startsWith("pinned"),
    );
    expect(pinned?.profile.cpus).toEqual([0, 2, 4, 6]);
  });
});
