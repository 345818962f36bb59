/** What 04_llm_benchmark sees: the live build, the models, what was measured before, and how the processor is set. */
import { onePerCore, parseCpuinfo } from "../../facts/cpu.ts";
import { parseMeminfo } from "../../facts/memory.ts";
import { lookAtConfig, type Floor } from "../../hosts/config.ts";
import type { Probe } from "../../machine/probe.ts";
import type { Args, Json } from "../../unit.ts";
import { builds, liveBuild } from "../builds.ts";
import { readPolicies, type Policy } from "../governor.ts";
import { servedProfile } from "../profile.ts";
import { profileJson } from "../profile_form.ts";
import type { Profile } from "../settings.ts";
import { installedModels, type InstalledModel } from "../store.ts";
import { tunedPath, tunedProfile, type TunedDocument } from "../tuned.ts";
import type { KeptBaseline } from "./judge.ts";
import {
  baselinePath,
  nextNumber,
  readBaselines,
  readResults,
  resultPath,
  sameSeries,
  seriesOf,
  type KeptResult,
  type Series,
} from "./results.ts";
import { readBattery, readTurbo, throttleCount } from "./sensors.ts";

/** One model as it would be served on the live build. */
export interface BenchModel {
  readonly name: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly quantisation?: string;
  readonly profile: Profile;
  readonly series: Series;
  readonly tuned?: TunedDocument;
  /** Where the next result, the baseline and the tuned profile of it go. */
  readonly paths: {
    readonly result: string;
    readonly baseline: string;
    readonly tuned: string;
  };
}

/** All that diagnosing and planning is done with. */
export interface BenchFacts {
  /** Now, and when this run began to look, in milliseconds since 1970. */
  readonly now: number;
  readonly since: number;
  readonly root: boolean;
  readonly build?: { readonly id: string; readonly started: string };
  /** Other builds that are still there to go back to, newest first. */
  readonly otherBuilds: readonly string[];
  readonly models: readonly BenchModel[];
  /** Oldest first. */
  readonly results: readonly KeptResult[];
  readonly damaged: readonly string[];
  readonly baselines: readonly KeptBaseline[];
  /** What the operator wants of models on this host. */
  readonly floors: readonly Floor[];
  readonly cpu: {
    readonly logical: number;
    readonly physical: number;
    readonly policies: readonly Policy[];
    readonly turbo?: boolean;
    /** Since boot. */
    readonly throttled?: { readonly times: number; readonly ms?: number };
    readonly hybrid: boolean;
  };
  readonly onBattery?: boolean;
  /** Bytes that a new program can have. */
  readonly available?: number;
}

/** When each run began to look: rounds of one run share their arguments object. */
const firstLook = new WeakMap<Args, number>();

/** Reads everything. */
export async function observeBench(probe: Probe, want: Args): Promise<BenchFacts> {
  const now = probe.now();
  const since = firstLook.get(want) ?? now;
  firstLook.set(want, since);
  const build = liveBuild(probe);
  const { results, damaged, numbers } = readResults(probe);
  const models = build
    ? (await installedModels(probe)).map((model) => {
        const tuned = tunedProfile(probe, model, build);
        const profile = servedProfile(probe, model, build);
        const series = seriesOf(model.sha256, build.id, profile);
        return {
          ...named(model),
          profile,
          series,
          ...(tuned ? { tuned } : {}),
          paths: {
            result: resultPath(probe, series, nextNumber(numbers, series)),
            baseline: baselinePath(probe, series),
            tuned: tunedPath(probe, model, build),
          },
        };
      })
    : [];
  const cpu = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const turbo = readTurbo(probe);
  const throttled = throttleCount(probe);
  const onBattery = readBattery(probe);
  const available = parseMeminfo(probe.text("/proc/meminfo") ?? "")?.available;
  const cores = onePerCore(cpu.threads).length;
  return {
    now,
    since,
    root: probe.me.root,
    ...(build ? { build: { id: build.id, started: build.info.started } } : {}),
    otherBuilds: builds(probe)
      .map(({ id }) => id)
      .filter((id) => id !== build?.id),
    models,
    results,
    damaged,
    baselines: readBaselines(probe),
    floors: await floorsOf(probe),
    cpu: {
      logical: cpu.logical,
      physical: cores,
      policies: readPolicies(probe),
      ...(turbo === undefined ? {} : { turbo }),
      ...(throttled ? { throttled } : {}),
      hybrid: probe.text("/sys/devices/cpu_atom/cpus") !== undefined,
    },
    ...(onBattery === undefined ? {} : { onBattery }),
    ...(available === undefined ? {} : { available }),
  };
}

/** A shared.cfg that can't be used sets no floor; 00_check_structure says what is wrong with it. */
async function floorsOf(probe: Probe): Promise<readonly Floor[]> {
  const reading = await lookAtConfig(probe);
  const all = reading.state === "ok" ? reading.config.baselines : [];
  return all.filter(({ host }) => host === probe.host);
}

function named({ name, sha256, bytes, head }: InstalledModel) {
  const { quantisation } = head;
  return { name, sha256, bytes, ...(quantisation === undefined ? {} : { quantisation }) };
}

/** What decides whether figures still hold: the build, the models and how each is served. */
export function fingerprintBench({ build, models }: BenchFacts): Json {
  return {
    build: build?.id ?? null,
    models: models.map(({ sha256, series }) => ({ sha256, profile: series.profile })),
  };
}

/** What reports and the status file show: the latest figures of each model. */
export function digestBench(facts: BenchFacts): Json {
  return {
    build: facts.build?.id ?? null,
    models: facts.models.map(({ name, quantisation, profile, series, tuned }) => {
      const own = facts.results.filter((one) => sameSeries(one.series, series));
      const last = own.at(-1)?.result;
      return {
        name,
        quantisation: quantisation ?? null,
        profile: profileJson(profile),
        tuned: tuned ? { at: tuned.at, gain: { ...tuned.gain } } : null,
        measurements: own.length,
        latest: last ? (JSON.parse(JSON.stringify(last)) as Json) : null,
      };
    }),
  };
}
