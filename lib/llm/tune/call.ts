/** The named call of 04_llm_benchmark that tunes. */
import { dirname } from "node:path";
import { hybridCores, onePerCore, parseCpuinfo } from "../../facts/cpu.ts";
import type { Call } from "../../unit.ts";
import { numberArg, subjectOf, textIn } from "../bench/calls.ts";
import { defaultProfile, hasGpu, profileFacts, servedProfile } from "../profile.ts";
import { describeProfile } from "../profile_form.ts";
import type { TunedDocument } from "../tuned.ts";
import { stages, type TuningFacts } from "./candidates.ts";
import { openEngines } from "./engines.ts";
import { NEW_TURNS } from "./loads.ts";
import { isSuspect, measureQuantisation } from "./quantisation.ts";
import { search } from "./search.ts";
import { askBoth, chooseLengths, realTiming } from "./timing.ts";

/** Bytes per second that quantising again takes at least, and the share of the budget it may have. */
const QUANTISE_RATE = 50 * 2 ** 20;
const QUANTISE_SHARE = 0.2;

/** Tunes one model on the live build and keeps the profile that was proven best; the one at the start where none was. */
export const tuneCall: Call = async (context, args) => {
  const { probe, act, say, signal } = context;
  const { model, build } = await subjectOf(context, args);
  const budget = 1000 * Math.max(1, numberArg(args, "budget"));
  const began = performance.now();
  const start = servedProfile(probe, model, build);
  const facts = profileFacts(probe, model, build);
  const worthIt = (model.bytes * 2) / QUANTISE_RATE < (QUANTISE_SHARE * budget) / 1000;
  if (worthIt) say.line(`Measuring whether the quantisation of ${model.name} is the slow part`);
  const quantisation =
    worthIt && isSuspect(model.head.quantisation, start)
      ? await measureQuantisation(context, build, model, start)
      : undefined;
  const hybrid = hybridCores({
    cpuCore: probe.text("/sys/devices/cpu_core/cpus"),
    cpuAtom: probe.text("/sys/devices/cpu_atom/cpus"),
  });
  const cpu = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const allowed = facts.allowed.length > 0 ? facts.allowed : undefined;
  const tuning: TuningFacts = {
    cores: onePerCore(cpu.threads, allowed),
    fast: hybrid ? onePerCore(cpu.threads, hybrid.performance) : [],
    logical: allowed?.length ?? cpu.logical,
    gpu: hasGpu(build),
    usual: defaultProfile(facts),
  };
  const engines = openEngines(context, build, model);
  try {
    // about a text that the search comes to last of all
    const taste = await askBoth(
      engines,
      start,
      chooseLengths(0),
      { text: NEW_TURNS - 1, turn: 0 },
      signal,
    );
    const lengths = chooseLengths(taste.chat.generatedPerSecond);
    const left = Math.max(1, budget - (performance.now() - began));
    const found = await search(start, stages(tuning), realTiming(context, engines, lengths, left));
    const document: TunedDocument = {
      schema: 1,
      at: new Date(probe.now()).toISOString(),
      model: model.name,
      build: build.id,
      profile: found.profile,
      gain: found.gain,
      tried: found.tried,
      ...(quantisation ? { quantisation } : {}),
    };
    const path = textIn(args, "to", "tuned");
    act.makeFolder(dirname(path));
    act.write(path, `${JSON.stringify(document, null, 1)}\n`, 0o644);
    say.line(
      `${model.name}: ${describeProfile(found.profile, start)}; ${found.gain.chat.toFixed(2)}x on chat, ${found.gain.rewrite.toFixed(2)}x where a text is written again`,
    );
  } finally {
    await engines.stopAll();
  }
};
