/**
 * The search: which profile is kept, given only a way to time two of them side by side. It knows no engine and no clock of its own, so it is tried
 * with made-up speeds in the tests.
 */
import type { Tried } from "../tuned.ts";
import type { Profile } from "../settings.ts";
import type { Candidate, Stage } from "./candidates.ts";
import {
  compare,
  FEWEST_TRIED,
  isDoubtful,
  isHidden,
  isHopeless,
  judge,
  LOADS,
  worth,
  type Comparison,
  type Pairs,
  type TwoLoads,
} from "./decide.ts";

/** One turn of two profiles on both loads, neighbours in time. Speeds in tokens per second. */
export interface Turn {
  readonly base: TwoLoads<number>;
  readonly other: TwoLoads<number>;
  /** Of the generation alone, where it is known apart from the prompt's share. */
  readonly generation?: { readonly base: TwoLoads<number>; readonly other: TwoLoads<number> };
}

/** What the search needs of the world. */
export interface Timing {
  /** Times both once on both loads; which goes first alternates with `turn`. Undefined where `other` can't be served, with the reason said there. */
  time(base: Profile, other: Profile, turn: number): Promise<Turn | { readonly refused: string }>;
  /** What is timed from now on runs anew: where a process happens to lie in memory makes it some percent faster or slower for all of its life. */
  startAnew(): Promise<void>;
  /** Share of the budget that is spent, 0 to 1 and more. */
  spent(): number;
  /** Told before each candidate. */
  trying(what: string): void;
}

/** What the search found. */
export interface Found {
  readonly profile: Profile;
  /** Generation speed of `profile` against the one at the start; 1 where that one is kept. */
  readonly gain: TwoLoads<number>;
  readonly tried: readonly Tried[];
}

/** A candidate that gained where it was tried. */
interface Kept {
  readonly candidate: Candidate;
  readonly worth: number;
  readonly why: string;
}

/** Share of the budget that is left for proving the winner. */
const FOR_PROOF = 0.3;

/** How many pairs are timed. */
interface Looks {
  /** So many whatever they say and whatever the time. */
  readonly least: number;
  /** So many where noise hides the answer. */
  readonly most: number;
  /** Share of the budget after which there are no more. */
  readonly until: number;
  /** After so many pairs both run anew, before the first too; never where left out. */
  readonly anew?: number;
  /** Whether more are worth their time. */
  readonly more: (loads: TwoLoads<Comparison>, pairs: number) => boolean;
}

/** A candidate: quickly given up, and given another chance where a gain stands against a loss that may be none. What luck lets through here, the proof catches. */
const TRY: Looks = {
  least: 1,
  most: 3 * FEWEST_TRIED,
  until: 1 - FOR_PROOF,
  more: (loads, pairs) =>
    pairs < FEWEST_TRIED ? !isHopeless(loads) : isDoubtful(loads, FEWEST_TRIED),
};
/** The proof: more than a candidate gets, because this is what is believed in the end; on several processes each, so that none's luck decides. */
const PROOF: Looks = {
  least: 7,
  anew: 2,
  most: 21,
  until: 1,
  more: isHidden,
};

/**
 * Goes through the stages, keeps the best of each, and at the end times the winner against the profile at the start once more, with fresh pairs: a
 * gain that was luck among many candidates is not seen twice. What can't be proven in time is not kept.
 */
export async function search(
  start: Profile,
  plan: readonly Stage[],
  timing: Timing,
): Promise<Found> {
  const tried: Tried[] = [];
  let best = start;
  /** Those of the first stage with a winner that may have been it: made from the start alone, so each of them can be proven by itself. */
  let runnersUp: readonly Kept[] = [];
  for (const stage of plan) {
    const kept: Kept[] = [];
    for (const candidate of stage.candidates(best)) {
      if (timing.spent() >= 1 - FOR_PROOF) {
        tried.push({ what: candidate.what, kept: false, why: "not tried: the time was over" });
        continue;
      }
      timing.trying(candidate.what);
      const outcome = await pairUp(timing, best, candidate.profile, TRY);
      if ("refused" in outcome) {
        tried.push({ what: candidate.what, kept: false, why: outcome.refused });
        continue;
      }
      const verdict = judge(outcome.whole, FEWEST_TRIED);
      const value = worth(outcome.whole);
      tried.push({ what: candidate.what, kept: false, why: verdict.why });
      if (verdict.keep) kept.push({ candidate, worth: value, why: verdict.why });
    }
    const [winner, ...others] = kept.toSorted((a, b) => b.worth - a.worth);
    if (!winner) continue;
    if (best === start) runnersUp = others;
    best = winner.candidate.profile;
    const { what } = winner.candidate;
    const at = tried.findLastIndex((one) => one.what === what);
    tried[at] = { what, kept: true, why: winner.why };
  }
  if (best === start) return { profile: start, gain: { chat: 1, rewrite: 1 }, tried };
  let found = await prove(start, best, ALL_KEPT, tried, timing);
  for (const { candidate } of runnersUp) {
    if (found.profile !== start || timing.spent() >= 1) break;
    const what = `${candidate.what} alone, once more against the start`;
    found = await prove(start, candidate.profile, what, found.tried, timing);
  }
  return found;
}

const ALL_KEPT = "all that was kept, once more against the start";

async function prove(
  start: Profile,
  best: Profile,
  what: string,
  tried: readonly Tried[],
  timing: Timing,
): Promise<Found> {
  timing.trying(what);
  const outcome = await pairUp(timing, start, best, PROOF);
  const nothing = { profile: start, gain: { chat: 1, rewrite: 1 } };
  const none = tried.map((one) => ({ ...one, kept: false }));
  if ("refused" in outcome) {
    return { ...nothing, tried: [...none, { what, kept: false, why: outcome.refused }] };
  }
  const verdict = judge(outcome.whole);
  if (!verdict.keep) {
    return { ...nothing, tried: [...none, { what, kept: false, why: verdict.why }] };
  }
  const { chat, rewrite } = outcome.generation;
  return {
    profile: best,
    gain: { chat: chat.ratio, rewrite: rewrite.ratio },
    tried: [...tried, { what, kept: true, why: verdict.why }],
  };
}

type Compared =
  | { readonly whole: TwoLoads<Comparison>; readonly generation: TwoLoads<Comparison> }
  | { readonly refused: string };

/** Times pairs as long as they are worth it. */
async function pairUp(
  timing: Timing,
  base: Profile,
  other: Profile,
  { least, most, anew, until, more }: Looks,
): Promise<Compared> {
  const turns: Turn[] = [];
  do {
    if (anew !== undefined && turns.length % anew === 0) await timing.startAnew();
    const one = await timing.time(base, other, turns.length);
    if ("refused" in one) return one;
    turns.push(one);
  } while (
    turns.length < least ||
    (turns.length < most && timing.spent() < until && more(compareTurns(turns), turns.length))
  );
  return {
    whole: compareTurns(turns),
    generation: compareTurns(turns.map(({ generation, ...whole }) => generation ?? whole)),
  };
}

function compareTurns(turns: readonly Pick<Turn, "base" | "other">[]): TwoLoads<Comparison> {
  const [chat, rewrite] = LOADS.map((load) =>
    compare({
      base: turns.map((turn) => turn.base[load]),
      other: turns.map((turn) => turn.other[load]),
    } satisfies Pairs),
  ) as [Comparison, Comparison];
  return { chat, rewrite };
}
