/** What is to be said of a build before anything is done: pure, from facts. */
import type { Args, Finding } from "../../unit.ts";
import { isOptional, OPTIONAL, type Refusal, wishes } from "./backends.ts";
import type { BuildFacts } from "./facts.ts";
import { missingTools, pending } from "./planning.ts";
import { differences } from "./recipe.ts";
import type { Workaround } from "./workaround.ts";

/** Free disk that a build takes, in bytes: source 181 MB, objects and programs 132 MB on the CPU alone (measured), CUDA and Vulkan several times that. */
const DISK = { cpu: 1_000_000_000, accelerated: 4_000_000_000 } as const;

const SCRIPT = "03_build_llama_cpp";

/** Findings, the ones that block first. */
export function diagnoseBuild(facts: BuildFacts, want: Args): readonly Finding[] {
  const wrong = wrongFlags(want);
  if (wrong.length > 0) return wrong;
  const open = pending(facts);
  const live = facts.generations.find((one) => one.id === facts.live);
  return [
    ...damage(facts, want),
    ...damagedSource(facts),
    ...(open === undefined || open.build ? missing(facts, live !== undefined) : []),
    ...(open?.build ? room(facts, open.recipe.backends.length > 1) : []),
    ...(open?.prove ? reference(facts) : []),
    ...(open ? rebuilding(facts, open) : []),
    ...(open && live ? wishNotKept(facts, open, live, want) : []),
    ...(open?.recipe.choice.refused ?? []).map(refusal),
    ...(open?.recipe.choice.workarounds ?? []).map((one) => workedAround(one, facts)),
    ...(facts.cpu.isa.includes("avx") && !facts.cpu.isa.includes("avx2") ? [noAvx2(facts)] : []),
    ...(live && open && !open.build && !open.link && !open.prove ? [good(live)] : []),
  ];
}

function wrongFlags(want: Args): readonly Finding[] {
  const named = [...wishes(want["with"]), ...wishes(want["without"])];
  const unknown = named.filter((one) => one !== "auto" && !isOptional(one));
  const both = wishes(want["with"]).filter((one) => wishes(want["without"]).includes(one));
  const fix = [SCRIPT, "--help"];
  const wrong = (what: string, why: string): Finding[] => [
    { id: "flag-not-usable", level: "fail", what, why, evidence: "the command line", fix },
  ];
  if (unknown.length > 0) {
    const known = `known are ${OPTIONAL.join(", ")}, and auto for "as the facts say"`;
    return wrong(`${unknown.join(", ")} is no part of a build`, known);
  }
  if (both.length > 0)
    return wrong(`${both.join(", ")} is wanted both with and without`, "choose one");
  return [];
}

function damage(facts: BuildFacts, want: Args): readonly Finding[] {
  return facts.generations
    .filter((one) => one.damage !== undefined)
    .map((one) => {
      const live = one.id === facts.live;
      return {
        id: live ? "live-build-damaged" : "build-damaged",
        level: want["verify"] === true ? "fail" : "warn",
        what: `${live ? "the live build" : "build"} ${one.id} is damaged: ${one.damage}`,
        why: "what it computes, or does, is no longer what was proven",
        evidence: "the sha256 of each file, against build-info.json",
        fix: [SCRIPT],
        means: "corrupt",
      } as const;
    });
}

function damagedSource({ source }: BuildFacts): readonly Finding[] {
  if (source.state !== "damaged") return [];
  return [
    {
      id: "source-damaged",
      level: "warn",
      what: "the home's copy of llama.cpp's source is damaged",
      why: "the next build would have to fetch it, and may be far from any network",
      evidence: `the sha256 of ${source.copy}`,
      fix: [SCRIPT],
    },
  ];
}

function missing(facts: BuildFacts, live: boolean): readonly Finding[] {
  const tools = missingTools(facts);
  if (tools.length === 0) return [];
  const names = tools.map(([name]) => name).join(", ");
  // a build that serves goes on serving where nothing can compile, e.g. on a host that it was copied to
  const noNeed = live && facts.generations.every((one) => one.damage === undefined);
  return [
    {
      id: "tools-missing",
      level: noNeed ? "info" : "fail",
      what: `missing for a build: ${names}`,
      why: noNeed
        ? "the live build goes on; whether another would suit this host better can't be told"
        : "llama.cpp is compiled on this host, for this host",
      evidence: "not found on the PATH",
      fix: install(
        facts,
        tools.map(([, name]) => name),
      ),
    },
  ];
}

function room(facts: BuildFacts, accelerated: boolean): readonly Finding[] {
  const want = accelerated ? DISK.accelerated : DISK.cpu;
  if (facts.disk === undefined || facts.disk >= want) return [];
  const mb = (bytes: number) => `${Math.floor(bytes / 1e6)} MB`;
  return [
    {
      id: "disk-too-small",
      level: "fail",
      what: `a build takes ${mb(want)} of disk and ${mb(facts.disk)} are free`,
      why: "source, objects and programs are kept in runtime/work until they are pruned",
      evidence: facts.home,
      fix: ["df", "-h", facts.home],
    },
  ];
}

function reference(facts: BuildFacts): readonly Finding[] {
  if (facts.model.name !== "") return [];
  return [
    {
      id: "reference-model-unknown",
      level: "fail",
      what: "the model that a build is proven with is not in the catalogue",
      why: "an entry of models/local.yaml took its name; the proof needs exactly that file",
      evidence: `sha256 ${facts.model.sha256}`,
      fix: ["nano", `${facts.home}/models/local.yaml`],
    },
  ];
}

function rebuilding(
  facts: BuildFacts,
  open: NonNullable<ReturnType<typeof pending>>,
): readonly Finding[] {
  const { recipe } = open;
  const live = facts.generations.find((one) => one.id === facts.live);
  const found: Finding[] = [];
  if (live && live.id !== recipe.id) {
    found.push({
      id: "rebuild-needed",
      level: "info",
      what: `the live build ${live.id} is not what this host would get now`,
      why: differences(live.info.inputs, recipe.inputs).join("; "),
      evidence: "build-info.json, against the host's facts",
      fix: [SCRIPT],
    });
  } else if (facts.live !== undefined && !live) {
    found.push({
      id: "live-build-gone",
      level: "warn",
      what: `the link to the live build leads to ${facts.live}, which is no build`,
      why: "nothing can be served until there is one",
      evidence: "runtime/llama.cpp/current",
      fix: [SCRIPT],
    });
  }
  if (open.build && facts.begun.includes(recipe.id)) {
    found.push({
      id: "build-begun",
      level: "info",
      what: "an earlier run has begun this build",
      why: "it goes on from there",
      evidence: `runtime/work/llama.cpp/${recipe.id}`,
    });
  }
  return found;
}

/** A wish is kept with the build that it makes: one that makes none would be forgotten without a word. */
function wishNotKept(
  facts: BuildFacts,
  open: NonNullable<ReturnType<typeof pending>>,
  live: BuildFacts["generations"][number],
  want: Args,
): readonly Finding[] {
  const said = (["with", "without"] as const).flatMap((flag) =>
    wishes(want[flag]).length > 0 ? [`--${flag} ${wishes(want[flag]).join(",")}`] : [],
  );
  const text = (asked: { readonly with: readonly string[]; readonly without: readonly string[] }) =>
    JSON.stringify([asked.with.toSorted(), asked.without.toSorted()]);
  if (said.length === 0 || open.build || open.recipe.id !== live.id) return [];
  if (text(facts.asked) === text(live.info.asked)) return [];
  return [
    {
      id: "wish-not-kept",
      level: "info",
      what: `${said.join(" ")} changes nothing of this host's build, so it is not remembered`,
      why: "a wish stays with the build that it makes; should the facts change, say it again",
      evidence: `${live.id}, build-info.json`,
    },
  ];
}

function refusal({ part, because, evidence, serious, fix }: Refusal): Finding {
  const names = { cuda: "CUDA", vulkan: "Vulkan", amx: "AMX" } as const;
  return {
    id: `${part}-not-built`,
    level: serious ? "warn" : "info",
    what: `built without ${names[part]}: ${because}`,
    why: serious
      ? "hardware that could compute stays unused"
      : "the engine computes on the CPU's own units",
    evidence,
    ...(fix ? { fix } : {}),
  };
}

function workedAround(one: Workaround, { toolchain }: BuildFacts): Finding {
  if (one === "avx512-alignment") {
    return {
      id: "avx512-aligned",
      level: "info",
      what: "llama.cpp lays out what it computes for vectors of 32 bytes: a header of ours lays it out for this CPU's 64 (AVX-512)",
      why: "else each vector lies across two cache lines, and a prompt is read up to a quarter slower",
      evidence: "TENSOR_ALIGNMENT in the engine's source, and addresses of its matrix products",
    };
  }
  return {
    id: "amx-put-right",
    level: "info",
    what: `GCC ${toolchain.compiler?.version ?? ""} miscompiles what sets this CPU's matrix unit (AMX) up: a header of ours declares it right`,
    why: "without it the engine would crash at its first token; with it prompts are read faster",
    evidence: "the assembly that the compiler makes of a test function (fixed in GCC 13.2.1)",
  };
}

function noAvx2({ cpu }: BuildFacts): Finding {
  return {
    id: "no-avx2",
    level: "warn",
    what: `${cpu.model} has no AVX2`,
    why: "prompts are read several times slower than on a CPU that has it",
    evidence: "/proc/cpuinfo",
  };
}

function good({ id, info, proof }: BuildFacts["generations"][number]): Finding {
  const shares = Object.entries(proof?.agreed ?? {}).map(
    ([name, { right, of }]) => `${name} ${right} of ${of}`,
  );
  return {
    id: "live-build-good",
    level: "ok",
    what: `${id} is live: llama.cpp ${info.tag} with ${info.backends.join(", ")}`,
    why: "it is whole, and it was made for this CPU, compiler and driver",
    evidence: `proven ${proof?.at ?? ""}: ${shares.join(", ")} next tokens as they should be`,
  };
}

/** A line that installs Debian packages. */
export function install(facts: BuildFacts, packages: readonly string[]): readonly string[] {
  return [...(facts.root ? [] : ["sudo"]), "apt-get", "install", "-y", ...new Set(packages)];
}
