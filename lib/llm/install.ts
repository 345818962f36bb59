/** Which models a host should hold, and the steps from what is there to that. Pure. */
import { inHome } from "../keep/home.ts";
import type { Args, Source, Step } from "../unit.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import { fit, USUAL_SERVING, type Fit } from "./fit.ts";
import { bestFitting, shortened } from "./fit_advice.ts";
import type { ModelsFacts } from "./install_facts.ts";
import {
  installedOf,
  linkTarget,
  measured,
  nameOf,
  type InstalledModel,
  type NamedModel,
  type StoredFile,
} from "./store.ts";

/** The name that stands for "the most capable model that fits". */
export const AUTO = "auto";

/** What a run is to bring about. */
export interface Wanted {
  readonly entries: readonly CatalogueEntry[];
  /** Names that are in no catalogue. */
  readonly unknown: readonly string[];
  /** Who asked: the command line, shared.cfg, or nobody. */
  readonly asked: "command" | "shared.cfg" | "default";
}

/** Names of a comma-separated flag. */
function namesIn(value: Args[string]): readonly string[] {
  return typeof value === "string"
    ? value.split(",").flatMap((name) => (name.trim() === "" ? [] : [name.trim()]))
    : [];
}

/** The models that are asked for: by the command line, else by shared.cfg, else the catalogue's default. */
export function wanted(facts: ModelsFacts, want: Args): Wanted {
  const command = [...namesIn(want["models"]), ...namesIn(want["model"])];
  const asked =
    command.length > 0 ? "command" : facts.configured.length > 0 ? "shared.cfg" : "default";
  const names = { command, "shared.cfg": facts.configured, default: [facts.catalogue.default] }[
    asked
  ];
  const entries: CatalogueEntry[] = [];
  const unknown: string[] = [];
  for (const name of new Set(names)) {
    const entry =
      name === AUTO ? automatic(facts) : facts.catalogue.entries.find((one) => one.name === name);
    if (entry) entries.push(entry);
    else unknown.push(name);
  }
  return { entries: [...new Set(entries)], unknown, asked };
}

/** The most capable model that fits or is there already: so the choice stands while a running engine holds the memory. */
function automatic(facts: ModelsFacts): CatalogueEntry | undefined {
  const { entries } = facts.catalogue;
  const there = entries.filter((entry) =>
    facts.names.some((one) => one.name === entry.name && one.sha256 === entry.sha256),
  );
  const fitting = bestFitting(entries, facts.room, USUAL_SERVING);
  return [...there, ...(fitting ? [fitting] : [])].sort((a, b) => b.rank - a.rank)[0];
}

/** Models whose name is there and whose file is gone: they were installed, so they are brought back. */
export function lost(facts: ModelsFacts): readonly CatalogueEntry[] {
  return facts.names.flatMap(({ name, sha256 }) => {
    if (sha256 === undefined || fileOf(facts, sha256)) return [];
    const entry = facts.catalogue.entries.find((one) => one.name === name);
    return entry ? [entry] : [];
  });
}

/** The file of a hash, where it is in the store. */
export function fileOf(facts: ModelsFacts, sha256: string): StoredFile | undefined {
  return facts.files.find((one) => one.sha256 === sha256);
}

/** How a model of the catalogue would be placed now; by the file's own sizes where it is there. */
export function fitOf(facts: ModelsFacts, entry: CatalogueEntry): Fit {
  const head = fileOf(facts, entry.sha256)?.proof?.head;
  const told = head ? measured(entry, head) : entry;
  return fit(told, facts.room, shortened(told, USUAL_SERVING));
}

/** Models that may be served. */
export function installed(facts: ModelsFacts): readonly InstalledModel[] {
  return installedOf(facts.files, facts.names, facts.catalogue.entries);
}

/** Names that --remove asks for and that are there. */
export function toRemove(facts: ModelsFacts, want: Args): readonly NamedModel[] {
  const names = namesIn(want["remove"]);
  return facts.names.filter((one) => names.includes(one.name));
}

/** True where nothing is to be done but to show. */
export function onlyShows(want: Args): boolean {
  return want["list"] === true || typeof want["describe"] === "string";
}

/** The steps from what is there to what is wanted; [] where nothing is missing. */
export function planModels(facts: ModelsFacts, want: Args): readonly Step[] {
  if (onlyShows(want)) return [];
  if (typeof want["remove"] === "string") return planRemoval(facts, want);
  const steps: Step[] = [];
  const coming = new Set<string>();
  const entries = [...wanted(facts, want).entries, ...lost(facts)];
  for (const entry of entries) {
    const { name, sha256, bytes } = entry;
    const file = fileOf(facts, sha256);
    if (!file && !coming.has(sha256)) {
      const to = inHome.store(facts.home, sha256);
      const from = sourcesOf(facts, entry);
      steps.push({ do: "fetch", from, to, sha256, bytes, why: entry.title });
      steps.push(proofStep(facts, name, sha256, true));
      coming.add(sha256);
    }
    const link = facts.names.find((one) => one.name === name);
    if ((coming.has(sha256) || file?.proof) && link?.sha256 !== sha256) {
      steps.push({ do: "link", path: nameOf(facts.home, name), target: linkTarget(sha256) });
    }
  }
  // a file that is about to lose its name need not be proven any more
  const names = new Map(facts.names.map((one) => [one.name, one.sha256]));
  for (const entry of entries) names.set(entry.name, entry.sha256);
  const again = want["recheck"] === true;
  for (const file of facts.files) {
    const name = [...names].find(([, sha256]) => sha256 === file.sha256)?.[0];
    const proven = file.proof ? Date.parse(file.proof.at) : 0;
    // a proof from the future is of a clock that went back since: then nothing tells how old it is
    const old = again && (proven < facts.since || proven > facts.now);
    if (name === undefined || (file.proof && !old)) continue;
    steps.push(proofStep(facts, name, file.sha256, false));
  }
  for (const sha256 of facts.orphanProofs) {
    if (!coming.has(sha256))
      steps.push({ do: "remove", path: inHome.verified(facts.home, sha256) });
  }
  return dedupe(steps);
}

/** The nearest first: this host's own disks, a paired host that has it, the catalogue's other sources, and last the paired hosts of which that is not known. */
export function sourcesOf(
  facts: Pick<ModelsFacts, "peers">,
  entry: CatalogueEntry,
): readonly Source[] {
  const { sources, sha256, file } = entry;
  const own = sources.filter((one) => "path" in one && !("host" in one));
  const named = new Set(sources.flatMap((one) => ("host" in one ? [one.host] : [])));
  const hosts = Object.entries(facts.peers).filter(([name]) => !named.has(name));
  const from = (has: boolean) =>
    hosts.flatMap(([host, held]) => (held.includes(sha256) === has ? [{ host, path: file }] : []));
  return [...own, ...from(true), ...sources.filter((one) => !own.includes(one)), ...from(false)];
}

function proofStep(facts: ModelsFacts, name: string, sha256: string, hashed: boolean): Step {
  return {
    do: "call",
    name: "prove_model",
    args: { name, sha256, hashed },
    undo: { restore: [inHome.verified(facts.home, sha256)] },
  };
}

/** Files of the store that no name leads to: they can't be served. */
export function nameless(facts: ModelsFacts): readonly StoredFile[] {
  return facts.files.filter((file) => !facts.names.some((one) => one.sha256 === file.sha256));
}

/**
 * The names go, and with them the files that no other name leads to; files that had no name before go too. They wait in runtime/work until
 * 00_check_structure prunes that.
 */
function planRemoval(facts: ModelsFacts, want: Args): readonly Step[] {
  const going = toRemove(facts, want);
  const names = facts.names.filter((one) => !going.includes(one));
  const orphans = facts.orphanProofs.map((sha256) => inHome.verified(facts.home, sha256));
  return [
    ...going.map(({ path }): Step => ({ do: "remove", path })),
    ...nameless({ ...facts, names }).flatMap(({ sha256, proof, changed }): readonly Step[] => {
      const note = inHome.verified(facts.home, sha256);
      const noted: Step = { do: "remove", path: note };
      const aside: Step = {
        do: "call",
        name: "set_model_aside",
        args: { sha256 },
        undo: { by: "bring_model_back" },
      };
      return proof !== undefined || changed ? [noted, aside] : [aside];
    }),
    ...orphans.map((path): Step => ({ do: "remove", path })),
  ];
}

function dedupe(steps: readonly Step[]): readonly Step[] {
  const seen = new Set<string>();
  return steps.filter((step) => {
    const key = JSON.stringify(step);
    return !seen.has(key) && seen.add(key);
  });
}
