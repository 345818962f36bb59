/** What tuning tries, in the order of what it usually brings. Pure. */
import type { Profile } from "../settings.ts";
import { SPECULATIONS } from "../settings.ts";

/** What candidates are made from. */
export interface TuningFacts {
  /** One logical processor of each physical core, the fast cores of a hybrid alone in `fast`. */
  readonly cores: readonly number[];
  readonly fast: readonly number[];
  readonly logical: number;
  readonly gpu: boolean;
  /** What an untuned host would serve with. */
  readonly usual: Profile;
}

/** One setting to try: what it is, and what it changes of the profile that has done best so far. */
export interface Candidate {
  readonly what: string;
  readonly profile: Profile;
}

/** Candidates that stand in for each other: at most one of a stage is kept. Made when its turn comes, from the best profile until then. */
export interface Stage {
  readonly name: string;
  readonly candidates: (best: Profile) => readonly Candidate[];
}

/** All stages. A candidate that equals the best profile is left out. */
export function stages(facts: TuningFacts): readonly Stage[] {
  const stage = (
    name: string,
    make: (
      best: Profile,
    ) => readonly { readonly what: string; readonly change: Partial<Profile> }[],
  ): Stage => ({
    name,
    candidates: (best) => {
      const seen = new Set([key(best)]);
      return make(best).flatMap(({ what, change }) => {
        const profile = { ...best, ...change };
        if (seen.has(key(profile))) return [];
        seen.add(key(profile));
        return [{ what, profile }];
      });
    },
  });
  return [
    stage("the usual profile", (best) => [
      {
        what: "the usual profile of this host",
        change: { ...facts.usual, parallel: best.parallel, context: best.context },
      },
    ]),
    stage("speculation", () =>
      SPECULATIONS.map((speculation) => ({
        what: `speculation ${speculation}`,
        change: { speculation, draft: 0 },
      })),
    ),
    stage("threads", () =>
      threadCounts(facts).map((threads) => ({
        what: `${threads} threads`,
        change: { threads, cpus: [] },
      })),
    ),
    stage("pinning", (best) => pinnings(facts, best)),
    ...(facts.gpu
      ? [
          stage("layers", () => [
            { what: "all layers on the CPU", change: { gpuLayers: 0 } },
            { what: "as many layers on the GPU as fit", change: { gpuLayers: "fit" as const } },
          ]),
        ]
      : []),
    stage("flash attention", () => [
      { what: "flash attention on", change: { flashAttention: "on" } },
      // a quantised V cache needs flash attention
      { what: "flash attention off", change: { flashAttention: "off", cacheTypeV: "f16" } },
    ]),
    stage("batch", () =>
      [128, 256, 512, 1024].map((ubatch) => ({ what: `ubatch ${ubatch}`, change: { ubatch } })),
    ),
    stage("KV cache", () => [
      {
        what: "KV cache q8_0",
        change: { cacheTypeK: "q8_0", cacheTypeV: "q8_0", flashAttention: "on" },
      },
      { what: "KV cache f16", change: { cacheTypeK: "f16", cacheTypeV: "f16" } },
    ]),
    stage("draft", (best) =>
      best.speculation === "none" || best.speculation === "ngram-cache"
        ? []
        : [16, 32, 96].map((draft) => ({ what: `drafts of ${draft} tokens`, change: { draft } })),
    ),
  ];
}

function threadCounts({ cores, fast, logical }: TuningFacts): readonly number[] {
  const physical = cores.length > 0 ? cores.length : logical;
  const counts = [fast.length, physical, physical - 1, logical, Math.ceil(physical / 2)];
  return [...new Set(counts)].filter((count) => count >= 1 && count <= logical);
}

function pinnings(
  { cores, fast }: TuningFacts,
  best: Profile,
): readonly { readonly what: string; readonly change: Partial<Profile> }[] {
  const from = fast.length >= best.threads ? fast : cores;
  const pinned = from.slice(0, best.threads);
  return [
    ...(pinned.length === best.threads
      ? [{ what: `pinned to ${pinned.join(",")}`, change: { cpus: pinned } }]
      : []),
    { what: "not pinned", change: { cpus: [] } },
  ];
}

function key(profile: Profile): string {
  return JSON.stringify(Object.entries(profile).sort(([a], [b]) => (a < b ? -1 : 1)));
}
