/** From what is there to what is missing, and the line that installs it. Pure. */
import type { Step } from "../unit.ts";
import type { FoundTool, PrereqFacts } from "./facts.ts";
import { FEATURES, type Feature, type FeatureId, type Tool } from "./features.ts";
import { offersThatDropTheCard } from "./traps_cuda.ts";

/** How a feature stands on this host. */
export interface Standing {
  readonly feature: Feature;
  readonly asked: boolean;
  /** Needed, and not there. */
  readonly missing: readonly Tool[];
  /** Needed, there, and of no use: too old or broken. */
  readonly unfit: readonly Tool[];
  /** Good to have, and not there. */
  readonly wished: readonly Tool[];
}

/** Every feature, in the order of the table. */
export function standings(facts: PrereqFacts): readonly Standing[] {
  return FEATURES.map((feature) => {
    const inState = (...states: FoundTool["state"][]) =>
      feature.tools.filter((tool) => states.includes(foundOf(facts, tool).state));
    const missing = inState("missing");
    return {
      feature,
      asked: facts.asked.includes(feature.id),
      missing: missing.filter((tool) => !tool.optional),
      unfit: inState("too-old", "broken").filter((tool) => !tool.optional),
      wished: missing.filter((tool) => tool.optional),
    };
  });
}

/** A tool as it was found. */
export function foundOf(facts: PrereqFacts, tool: Tool): FoundTool {
  return facts.tools[tool.id] ?? { state: "missing", installed: [] };
}

/** Packages that the asked features still need, each once, in the order of the table. */
export function packagesToInstall(facts: PrereqFacts): readonly string[] {
  const tools = standings(facts)
    .filter(({ asked }) => asked)
    .flatMap(({ missing }) => missing);
  return packagesOf(facts, tools);
}

/** Packages of tools, less what dpkg has already. */
export function packagesOf(facts: PrereqFacts, tools: readonly Tool[]): readonly string[] {
  const names = tools.flatMap((tool) => {
    const { installed } = foundOf(facts, tool);
    return tool.packages.filter((name) => !installed.includes(name));
  });
  return [...new Set(names)];
}

/** Packages that no source of this host offers. None is known to be missing where apt has no lists yet: they may just not have been fetched. */
export function notOffered(facts: PrereqFacts, names: readonly string[]): readonly string[] {
  if (!facts.apt.there || facts.apt.listsAgeMs === undefined) return [];
  return names.filter((name) => facts.apt.wanted[name]?.candidate === undefined);
}

/** Tools that are missing although dpkg has all their packages: somebody removed files. */
export function hollow(facts: PrereqFacts): readonly Tool[] {
  return standings(facts)
    .filter(({ asked }) => asked)
    .flatMap(({ missing }) => missing)
    .filter((tool) => packagesOf(facts, [tool]).length === 0);
}

/**
 * The command that installs packages, as the person at this keyboard would type it. Without lists it fetches them first. Recommended packages are left
 * out, as the scripts' own installing leaves them out.
 */
export function installLine(
  facts: PrereqFacts,
  names: readonly string[],
  how: "install" | "reinstall" = "install",
): readonly string[] {
  const install = [
    "apt-get",
    "install",
    "--yes",
    "--no-install-recommends",
    ...(how === "reinstall" ? ["--reinstall"] : []),
    ...names,
  ];
  const fresh = facts.apt.listsAgeMs === undefined;
  // package names hold nothing that a shell would read (Debian policy 5.6.1)
  const line = `${fresh ? "apt-get update && " : ""}${install.join(" ")}`;
  if (facts.root) return fresh ? ["sh", "-c", line] : install;
  if (facts.sudo) return fresh ? ["sudo", "sh", "-c", line] : ["sudo", ...install];
  return ["su", "-c", line];
}

/** Root installs what the asked features need; nobody else can. */
export function planPrereqs(facts: PrereqFacts): readonly Step[] {
  if (!facts.root) return [];
  const install = installable(facts);
  if (install.length === 0) return [];
  return [{ do: "package", install, why: `needed by ${neededBy(facts, install).join(", ")}` }];
}

/** Packages of the asked features that can be had here. Of a tool with a package that no source offers, or that would take the card away, nothing is: its rest is no use alone. */
export function installable(facts: PrereqFacts): readonly string[] {
  if (!facts.apt.there || !facts.os.debianLike) return [];
  const refused = new Set([
    ...notOffered(facts, packagesToInstall(facts)),
    ...offersThatDropTheCard(facts.cuda),
  ]);
  const tools = standings(facts)
    .filter(({ asked }) => asked)
    .flatMap(({ missing }) => missing);
  return packagesOf(
    facts,
    tools.filter((tool) => !tool.packages.some((name) => refused.has(name))),
  );
}

/** Which asked features need any of the packages. */
export function neededBy(facts: PrereqFacts, names: readonly string[]): readonly FeatureId[] {
  return standings(facts)
    .filter(
      ({ asked, missing }) =>
        asked && missing.some((tool) => tool.packages.some((name) => names.includes(name))),
    )
    .map(({ feature }) => feature.id);
}
