/** What 01_validate_prereqs says. Pure. */
import { compareVersions, upstreamOf } from "../facts/versions.ts";
import { duration } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import {
  foundOf,
  hollow,
  installable,
  installLine,
  notOffered,
  packagesOf,
  packagesToInstall,
  standings,
  type Standing,
} from "./assess.ts";
import type { PrereqFacts } from "./facts.ts";
import { FEATURE_IDS, type Tool } from "./features.ts";
import { cudaTraps } from "./traps_cuda.ts";
import { glslcFindings, hostFindings } from "./traps_host.ts";

const SCRIPT = "./bin/01_validate_prereqs";
/** All findings: what was asked for first. */
export function diagnosePrereqs(facts: PrereqFacts): readonly Finding[] {
  return [
    ...facts.misspelt.map((word): Finding => ({
      id: `no-feature:${word}`,
      level: "fail",
      what: `there is no feature "${word}"`,
      why: `these are known: ${FEATURE_IDS.join(", ")}`,
      evidence: "--feature",
      fix: [SCRIPT, "--feature", "all", "--plan"],
    })),
    ...missingFindings(facts),
    ...standings(facts)
      .filter(({ asked }) => asked)
      .flatMap((standing) => featureFindings(facts, standing)),
    ...cudaTraps(facts.cuda, facts.asked.includes("cuda")),
    ...glslcFindings(facts),
    ...hostFindings(facts),
  ];
}

/** What is missing of what was asked for, in one finding with one line to install it all. */
function missingFindings(facts: PrereqFacts): readonly Finding[] {
  const packages = packagesToInstall(facts);
  const absent = notOffered(facts, packages);
  const found: Finding[] = [];
  const tools = standings(facts)
    .filter(({ asked }) => asked)
    .flatMap(({ missing }) => missing);
  const names = [...new Set(tools.map(({ what }) => what))].join(", ");
  if (packages.length > 0 && (!facts.os.debianLike || !facts.apt.there)) {
    found.push({
      id: "packages-missing",
      level: "fail",
      what: `missing: ${names}`,
      why: `${facts.os.name} has no apt: install by its own means what Debian calls ${packages.join(" ")}`,
      evidence: "not found on the PATH",
    });
    return found;
  }
  if (absent.length > 0) {
    const proprietary = absent.some((name) => name.startsWith("nvidia"));
    found.push({
      id: "packages-not-offered",
      level: "fail",
      what: `no source of packages of this host offers ${absent.join(", ")}`,
      why: proprietary
        ? "NVIDIA's packages are in the components contrib, non-free and non-free-firmware: add them to the sources"
        : `${facts.os.name} does not carry it, or its lists are ${duration(facts.apt.listsAgeMs ?? 0)} old`,
      evidence: "apt-cache policy",
      fix: proprietary ? ["sudo", "nano", "/etc/apt/sources.list"] : ["sudo", "apt-get", "update"],
    });
  }
  const install = installable(facts);
  if (install.length > 0) {
    found.push({
      id: "packages-missing",
      level: facts.root ? "warn" : "fail",
      what: `missing: ${names}`,
      why: facts.root
        ? "apt installs them, and --undo removes exactly what it brought"
        : "only root can install packages: this is the one line",
      evidence: install
        .map(
          (name) =>
            `${name} ${facts.apt.wanted[name]?.candidate ?? "(version not known before apt-get update)"}`,
        )
        .join(", "),
      fix: facts.root ? [SCRIPT, ...featureFlag(facts), "--yes"] : installLine(facts, install),
    });
  }
  return found;
}

function featureFindings(
  facts: PrereqFacts,
  { feature, missing, unfit, wished }: Standing,
): readonly Finding[] {
  const found: Finding[] = unfit.map((tool) => unfitFinding(facts, tool));
  const gone = hollow(facts).filter((tool) => feature.tools.includes(tool));
  found.push(
    ...gone.map((tool): Finding => ({
      id: `hollow:${tool.id}`,
      level: "fail",
      what: `${tool.what} is missing although its package is installed`,
      why: "somebody removed files of it",
      evidence: `dpkg has ${tool.packages.join(", ")} as installed`,
      fix: installLine(facts, tool.packages, "reinstall"),
    })),
    ...wished.map((tool): Finding => ({
      id: `wished:${tool.id}`,
      level: "info",
      what: `${tool.what} is not there`,
      why: `good to have: ${tool.why}`,
      evidence: "not found on the PATH",
      fix: installLine(facts, packagesOf(facts, [tool])),
    })),
  );
  if (missing.length + unfit.length === 0) {
    const said = feature.tools
      .filter((tool) => foundOf(facts, tool).state === "there")
      .map((tool) => {
        const { version } = foundOf(facts, tool);
        return version === undefined ? tool.what : `${tool.what} ${version}`;
      });
    found.push({
      id: `feature:${feature.id}`,
      level: "ok",
      what: `${feature.id} has what it needs`,
      why: feature.summary,
      evidence: said.join(", "),
    });
  }
  return found;
}

function unfitFinding(facts: PrereqFacts, tool: Tool): Finding {
  const { state, version, where = "" } = foundOf(facts, tool);
  const name = tool.packages.at(-1) ?? tool.id;
  const candidate = facts.apt.wanted[name]?.candidate;
  if (state === "broken") {
    return {
      id: `broken:${tool.id}`,
      level: "fail",
      what: `${tool.what} is there and does not answer`,
      why: tool.why,
      evidence: where,
      fix: installLine(facts, tool.packages, "reinstall"),
    };
  }
  const least = tool.least?.version ?? "";
  const helps = candidate !== undefined && compareVersions(upstreamOf(candidate), least) >= 0;
  return {
    id: `too-old:${tool.id}`,
    level: "fail",
    what: `${tool.what} ${version} is too old: ${least} or newer is needed`,
    why: `${tool.least?.why ?? tool.why}; ${helps ? `apt offers ${candidate}` : `apt offers ${candidate ?? "none"}, which is no newer than that`}`,
    evidence: where,
    fix: helps ? installLine(facts, [name]) : ["apt-cache", "policy", name],
  };
}

/** The flag that asks for the same features again. */
function featureFlag({ asked }: PrereqFacts): readonly string[] {
  const usual =
    asked.length === 3 && ["core", "build", "models"].every((id, at) => asked[at] === id);
  return usual ? [] : ["--feature", asked.join(",")];
}
