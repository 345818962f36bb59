/** What nobody asked about the models of a host. Pure. */
import { bytes } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import { fit, USUAL_SERVING } from "./fit.ts";
import { bestFitting, shortened, wholeOnGpu } from "./fit_advice.ts";
import { installed, nameless } from "./install.ts";
import type { ModelsFacts } from "./install_facts.ts";
import type { InstalledModel } from "./store.ts";

const SCRIPT = "03_install_models";
const DAY = 86_400_000;
/** After this many days without a proof, bytes on a disk are no longer taken on trust. */
const PROOF_DAYS = 30;
/** Less than this is not worth a word. */
const WORTH_SAYING = 256 * 2 ** 20;

/** All such findings, each with a command. */
export function unaskedOfModels(facts: ModelsFacts): readonly Finding[] {
  const here = installed(facts);
  return [
    ...here.flatMap((model) => [...slow(facts, model), ...unproven(facts, model)]),
    ...unused(facts, here),
    ...withoutName(facts),
    ...better(facts, here),
    ...split(facts),
    ...setAside(facts),
    ...halfFetched(facts),
  ];
}

/**
 * Quantisations of four and five bits for which llama.cpp v0.5.0 has neither repacked kernels (`ggml-cpu/repack.cpp`) nor a tiled matrix product
 * (`llamafile/sgemm.cpp`) on x86 with AVX2, so that prompts are read one dot product at a time.
 */
const WITHOUT_KERNELS: ReadonlySet<string> = new Set(["Q4_1", "Q5_1"]);

function slow(facts: ModelsFacts, { name, head, entry }: InstalledModel): readonly Finding[] {
  const most = head.types[0]?.type ?? "";
  if (!WITHOUT_KERNELS.has(most) || !facts.isa.includes("avx2") || facts.room.gpu) return [];
  const title = entry?.title ?? name;
  const other = facts.catalogue.entries.find(
    (one) => one.title === title && one.name !== name && !WITHOUT_KERNELS.has(one.quantisation),
  );
  return [
    {
      id: `slow-quantisation-${name}`,
      level: "info",
      what: `${name} is stored as ${most}, for which this processor has no fast kernels in the engine`,
      why: `prompts are read at about a third of the speed of Q4_0 or Q4_K (measured on SmolLM2 135M, AVX-512, 2 threads: Q4_1 222, Q8_0 473, Q4_0 659 tokens/s); ${
        other
          ? `${other.name} is the same model as ${other.quantisation}`
          : "the same model as Q4_0 or Q4_K_M would be faster; making one from this file with llama-quantize costs quality"
      }`,
      evidence: "the file's tensor types, /proc/cpuinfo",
      fix: other ? [SCRIPT, other.name] : ["04_llm_benchmark", "--model", name],
    },
  ];
}

function unproven(facts: ModelsFacts, { name, verifiedAt }: InstalledModel): readonly Finding[] {
  const days = Math.floor((facts.now - Date.parse(verifiedAt)) / DAY);
  if (days <= PROOF_DAYS) return [];
  return [
    {
      id: `long-unproven-${name}`,
      level: "info",
      what: `${name} was last hashed ${days} days ago`,
      why: "disks lose bits in silence; a damaged model still answers, only worse",
      evidence: verifiedAt,
      fix: [SCRIPT, "--recheck"],
    },
  ];
}

/** Where shared.cfg lists models, those that it does not list and that take much room. */
function unused(facts: ModelsFacts, here: readonly InstalledModel[]): readonly Finding[] {
  const { configured } = facts;
  if (configured.length === 0 || configured.includes("auto")) return [];
  return here
    .filter((one) => !configured.includes(one.name) && one.bytes >= WORTH_SAYING)
    .map(({ name, path, bytes: size }) => ({
      id: `unused-${name}`,
      level: "info",
      what: `${name} takes ${bytes(size)} and shared.cfg does not ask for it`,
      why: "removing it keeps the file in runtime/work, for an undo, until that is pruned",
      evidence: path,
      fix: [SCRIPT, "--remove", name],
    }));
}

/** What an older catalogue left in the store. */
function withoutName(facts: ModelsFacts): readonly Finding[] {
  const files = nameless(facts);
  const size = files.reduce((sum, one) => sum + one.bytes, 0);
  if (size < WORTH_SAYING) return [];
  return [
    {
      id: "files-without-name",
      level: "info",
      what: `${files.length} file(s) of the store have no name, ${bytes(size)}`,
      why: "nothing can serve them; an older catalogue or a removed name left them",
      evidence: files.map((one) => one.path).join(" "),
      fix: [SCRIPT, "--remove", "nameless"],
    },
  ];
}

/** A model that is much more capable than the best one here, and fits. */
function better(facts: ModelsFacts, here: readonly InstalledModel[]): readonly Finding[] {
  if (facts.configured.length > 0 || here.length === 0) return [];
  const rank = Math.max(...here.map((one) => one.entry?.rank ?? 0));
  const best = bestFitting(facts.catalogue.entries, facts.room, USUAL_SERVING);
  if (!best || best.rank < rank + 10 || (facts.space ?? 0) < best.bytes * 1.1) return [];
  return [
    {
      id: "could-run-more",
      level: "info",
      what: `this host could run ${best.name} (${best.title}, ${bytes(best.bytes)} to fetch)`,
      why: `it fits in the ${bytes(facts.room.ram)} that are free and is far more capable than ${here.map((one) => one.name).join(", ")}`,
      evidence: "/proc/meminfo",
      fix: [SCRIPT, best.name],
    },
  ];
}

/** An installed model that the GPU holds only in part, and what would put all of it there. */
function split(facts: ModelsFacts): readonly Finding[] {
  return installed(facts).flatMap(({ name, entry }): readonly Finding[] => {
    if (!entry) return [];
    const serving = shortened(entry, USUAL_SERVING);
    const advice = wholeOnGpu(entry, facts.room, serving);
    if (advice.length === 0) return [];
    const found = fit(entry, facts.room, serving);
    return [
      {
        id: `split-${name}`,
        level: "info",
        what: `only ${found.gpuLayers} of ${entry.layers + 1} layers of ${name} fit the GPU at ${serving.context} tokens`,
        why: `all of it would with ${advice.join(", or with ")}`,
        evidence: facts.room.gpu?.name ?? "",
        fix: ["04_llm_benchmark", "--model", name, "--tune"],
      },
    ];
  });
}

function setAside({ quarantine }: ModelsFacts): readonly Finding[] {
  if (quarantine.files === 0) return [];
  return [
    {
      id: "quarantine-not-empty",
      level: "warn",
      what: `${quarantine.files} damaged file(s) wait in quarantine, ${bytes(quarantine.bytes)}`,
      why: "one may be an accident of a download; more than one speaks of a failing disk or a source that lies",
      evidence: quarantine.path,
      fix: ["ls", "-l", quarantine.path],
    },
  ];
}

/** Downloads that were begun and that nothing asks for any more. */
function halfFetched(facts: ModelsFacts): readonly Finding[] {
  const there = new Set(facts.files.map((one) => one.sha256));
  return facts.catalogue.entries.flatMap((entry): readonly Finding[] => {
    const part = facts.partial[entry.sha256] ?? 0;
    if (part < WORTH_SAYING || there.has(entry.sha256)) return [];
    return [
      {
        id: `half-fetched-${entry.name}`,
        level: "info",
        what: `${bytes(part)} of ${bytes(entry.bytes)} of ${entry.name} are here already`,
        why: "a download was stopped; it goes on from there until runtime/work is pruned",
        evidence: `runtime/work/fetch/${entry.sha256}`,
        fix: [SCRIPT, entry.name],
      },
    ];
  });
}
