/** What differs between this home and a paired host's, in which direction, and since when. Pure. */
import type { Finding, HostName } from "../unit.ts";
import type { Held, Holdings } from "./holdings.ts";
import { releaseName, releaseOrder } from "./other_release.ts";
import type { ParityFacts } from "./parity_facts.ts";
import type { Word } from "./word.ts";

type Own = ParityFacts["own"];

const MIRROR = ["./bin/05_rsync_mirror", "--plan"];
/** Names shown per finding; the rest is counted. */
const SHOWN = 4;

/** One finding per kind of difference; none where both hosts hold the same. `bring` is the command that brings this host's programs there. */
export function differences(
  own: Own,
  theirs: Word,
  bring: readonly string[] = MIRROR,
): readonly Finding[] {
  return [
    ...releases(own, theirs, bring),
    ...config(own.holds, theirs),
    ...files(own.holds, theirs),
    ...models(own.holds, theirs),
    ...engines(own.holds, theirs),
  ];
}

function releases(
  own: Own,
  { host, release, holds }: Word,
  bring: readonly string[],
): readonly Finding[] {
  const mine = own.release;
  const [here, there] = [own.holds.programs, holds.programs];
  const age = here && there ? Date.parse(there.at) - Date.parse(here.at) : 0;
  const order = releaseOrder(mine, release, age);
  if (order !== undefined) {
    return [
      {
        id: `parity-programs.${host}`,
        level: "warn",
        what: `${host} runs ${order} programs than this host: ${releaseName(release)}, here ${releaseName(mine)}${since(here, there)}`,
        why: "an older one may not know what a newer one asks of it",
        evidence: "the hosts' own --version",
        fix: order === "newer" ? ["./bin/shelter", "update"] : bring,
      },
    ];
  }
  if (!here || !there || here.sha256 === there.sha256 || mine.target !== release.target) return [];
  return [
    {
      id: `parity-programs.${host}`,
      level: "warn",
      what: `the programs of ${host} are not this host's, although both are of release ${releaseName(mine)}${since(here, there)}`,
      why: "the same sources give the same bytes: one of the two was changed or is damaged",
      evidence: `bin/SHA256SUMS: ${here.sha256.slice(0, 12)} here, ${there.sha256.slice(0, 12)} there`,
      fix: ["sha256sum", "-c", "bin/SHA256SUMS"],
    },
  ];
}

function config(own: Holdings, { host, holds }: Word): readonly Finding[] {
  const [here, there] = [own.config, holds.config];
  if (here?.sha256 === there?.sha256) return [];
  const what =
    here && there
      ? `shared.cfg differs: the one ${newer(here, there, host)}${since(here, there)}`
      : `shared.cfg is ${here ? "here" : `on ${host}`} alone`;
  return [
    {
      id: `parity-config.${host}`,
      level: "warn",
      what,
      why: "each host does what its own says",
      evidence: "sha256 of both",
      fix: MIRROR,
    },
  ];
}

function files(own: Holdings, { host, holds }: Word): readonly Finding[] {
  const found = compared(own.files, holds.files);
  if (found.times.length === 0) return [];
  const newerHere = found.both.filter((name) => isNewer(own.files[name], holds.files[name]));
  const newerThere = found.both.filter((name) => !newerHere.includes(name));
  const parts = [
    part(found.here, "only here"),
    part(found.there, `only on ${host}`),
    part(newerHere, "newer here"),
    part(newerThere, `newer on ${host}`),
  ].filter((one) => one !== "");
  return [
    {
      id: `parity-files.${host}`,
      level: "info",
      what: `agents and dashboards differ: ${parts.join("; ")}${earliest(found.times)}`,
      why: "an agent behaves as the host says on which it runs",
      evidence: "sha256 of each",
      fix: MIRROR,
    },
  ];
}

function models(own: Holdings, { host, holds }: Word): readonly Finding[] {
  const found = compared(own.models, holds.models);
  if (found.times.length === 0) return [];
  const parts = [
    part(found.here, "only here"),
    part(found.there, `only on ${host}`),
    part(found.both, "another file under the same name"),
  ].filter((one) => one !== "");
  const [missing] = found.there;
  return [
    {
      id: `parity-models.${host}`,
      level: found.both.length > 0 ? "warn" : "info",
      what: `the models differ: ${parts.join("; ")}${earliest(found.times)}`,
      why: "an answer goes on over there only where the same model is",
      evidence: "the names in models/ and the sha256 that they lead to",
      fix: missing === undefined ? MIRROR : ["./bin/03_install_models", "--model", missing],
    },
  ];
}

function engines(own: Holdings, { host, holds }: Word): readonly Finding[] {
  const [here, there] = [own.engine, holds.engine];
  if (!here || !there) {
    if (!here && !there) return [];
    const [where, at] = here ? ["here", here.at] : [`on ${host}`, there?.at ?? ""];
    return [
      {
        id: `parity-engine.${host}`,
        level: "info",
        what: `an engine is live only ${where}, since ${minute(at)}`,
        why: "the other host can ask it, and has nothing to answer with should it go",
        evidence: "runtime/llama.cpp/current",
        fix: ["./bin/03_build_llama_cpp", ...(here ? ["--host", host] : [])],
      },
    ];
  }
  const age = `, since ${minute(here.at > there.at ? here.at : there.at)}`;
  if (here.tag !== there.tag) {
    return [
      {
        id: `parity-engine.${host}`,
        level: "warn",
        what: `the engines are of different releases: llama.cpp ${here.tag} here, ${there.tag} on ${host}${age}`,
        why: "an answer that is carried over may go on in other words",
        evidence: `${here.id} here, ${there.id} there`,
        fix: ["./bin/03_build_llama_cpp", ...(here.at > there.at ? ["--host", host] : [])],
      },
    ];
  }
  const mine = here.flags.filter((flag) => !there.flags.includes(flag));
  const other = there.flags.filter((flag) => !here.flags.includes(flag));
  if (mine.length + other.length === 0) return [];
  const parts = [part(mine, "only here"), part(other, `only on ${host}`)];
  return [
    {
      id: `parity-flags.${host}`,
      level: "info",
      what: `the engines are built differently: ${parts.filter((one) => one !== "").join("; ")}${age}`,
      why: "each is built for its own hardware; speeds differ, answers hardly",
      evidence: `${here.id} here, ${there.id} there`,
    },
  ];
}

/** Names that only one side has, and those that both have with another content; and the times at which each came to be so. */
function compared(
  here: Readonly<Record<string, Held>>,
  there: Readonly<Record<string, Held>>,
): {
  readonly here: readonly string[];
  readonly there: readonly string[];
  readonly both: readonly string[];
  readonly times: readonly string[];
} {
  const names = [...new Set([...Object.keys(here), ...Object.keys(there)])].sort();
  const differing = names.filter((name) => here[name]?.sha256 !== there[name]?.sha256);
  return {
    here: differing.filter((name) => there[name] === undefined),
    there: differing.filter((name) => here[name] === undefined),
    both: differing.filter((name) => here[name] && there[name]),
    times: differing.map((name) => later(here[name], there[name])),
  };
}

function part(names: readonly string[], where: string): string {
  if (names.length === 0) return "";
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : "";
  return `${names.slice(0, SHOWN).join(", ")}${more} ${where}`;
}

function isNewer(one: Held | undefined, other: Held | undefined): boolean {
  return Date.parse(one?.at ?? "") > Date.parse(other?.at ?? "");
}

function newer(here: Held, there: Held, host: HostName): string {
  return isNewer(here, there) ? "here is the newer one" : `on ${host} is the newer one`;
}

/** Two things differ since the later of their changes. */
function later(here: Held | null | undefined, there: Held | null | undefined): string {
  return [here?.at ?? "", there?.at ?? ""].sort().at(-1) ?? "";
}

function since(here: Held | null, there: Held | null): string {
  const at = later(here, there);
  return at === "" ? "" : `, since ${minute(at)}`;
}

function earliest(times: readonly string[]): string {
  const [first] = times.toSorted();
  return first === undefined ? "" : `, since ${minute(first)}`;
}

/** To the minute: "2026-02-01T10:00Z". */
function minute(at: string): string {
  return `${at.slice(0, 16)}Z`;
}
