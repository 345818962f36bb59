/** From the text of a catalogue to checked entries, with the line of whatever is wrong. Pure. */
import { Checker, type Path, type Table } from "../hosts/config_checker.ts";
import type { ConfigNote } from "../hosts/settings.ts";
import type { Pin, Source } from "../unit.ts";
import { ROLES, type CatalogueEntry, type Role } from "./catalogue.ts";

/** What one catalogue file says. */
export interface ParsedCatalogue {
  readonly entries: readonly CatalogueEntry[];
  readonly default?: string;
  /** Empty where all of it can be used; else none of it is. */
  readonly problems: readonly ConfigNote[];
  readonly unknown: readonly ConfigNote[];
}

/** Becomes a file name and an argument of programs. "auto" stands for "whatever fits". */
const NAME = /^(?!auto$)[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/;
const HASH = /^[0-9a-f]{64}$/;
const FILE = /^(?!\.)[^/\p{Cc}]{1,255}$/u;
const LINE = /^[^\p{Cc}]{1,200}$/u;
const MEMBER = /^[^/\p{Cc}][^\p{Cc}]{0,499}$/u;
/** PEP 508 and PEP 440, and npm's rules; none can start with "-", because they become arguments. */
const PYTHON_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,100}[A-Za-z0-9])?$/;
const NPM_NAME = /^(?:@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]{0,213}$/;
const VERSION = /^[A-Za-z0-9][A-Za-z0-9.!+_-]{0,60}$/;
const FOLDER = /^(?:\/|~\/)[^\p{Cc}]*$/u;
const HOST = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

const TIB = 2 ** 40;
const FIELDS = [
  "title",
  "file",
  "bytes",
  "sha256",
  "licence",
  "quantisation",
  "context",
  "layers",
  "kv_bytes",
  "vocabulary",
  "embedding",
  "roles",
  "rank",
  "sources",
];

/**
 * Parses and checks a catalogue.
 * @param home the person's own folder, for paths that start with "~/".
 */
export async function parseCatalogue(
  text: string,
  origin: CatalogueEntry["origin"],
  home: string,
): Promise<ParsedCatalogue> {
  const yaml = await import("yaml");
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, logLevel: "error" });
  const check = new Checker(yaml, document, lines);
  const ended = (problems: readonly ConfigNote[]) => ({ entries: [], problems, unknown: [] });
  const broken = document.errors[0];
  if (broken) {
    const { line, col } = lines.linePos(broken.pos[0]);
    const why = (broken.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
    return ended([{ key: "", line, column: col, why }]);
  }
  if (document.contents === null) return ended([]);
  if (!yaml.isMap(document.contents)) {
    const why = "the file is not a list of `key: value` settings";
    return ended([{ key: "", line: 1, column: 1, why }]);
  }
  let root: Table;
  try {
    root = document.toJS() as Table;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error); // aliases that multiply without end
    return ended([{ key: "", line: 1, column: 1, why }]);
  }
  check.known(root, [], ["schema", "default", "models"]);
  check.count(root, ["schema"], 1, 1);
  const chosen = check.text(root, ["default"], NAME, "the name of a model");
  const entries = check.entries(root, ["models"]).flatMap(([name, value]) => {
    const entry = readEntry(check, name, value, origin, home);
    return entry ? [entry] : [];
  });
  return {
    entries,
    ...(chosen === undefined ? {} : { default: chosen }),
    problems: check.problems,
    unknown: check.unknown,
  };
}

function readEntry(
  check: Checker,
  name: string,
  value: unknown,
  origin: CatalogueEntry["origin"],
  home: string,
): CatalogueEntry | undefined {
  const path: Path = ["models", name];
  if (!NAME.test(name)) {
    check.problem(path, "a name is letters, digits and . _ + - only, 64 at most, and not auto");
  }
  const table = check.tableOf(value, path);
  check.known(table, path, FIELDS);
  const at = (key: string): Path => [...path, key];
  const must = <T>(key: string, found: T | undefined): T | undefined => {
    if (found === undefined && (table[key] ?? undefined) === undefined) {
      check.problem(path, `"${key}" is missing`);
    }
    return found;
  };
  const number = (key: string, least: number, most: number) =>
    must(key, check.count(table, at(key), least, most));
  const word = (key: string) => check.text(table, at(key), LINE, "one line of text");
  const bytes = number("bytes", 1, TIB);
  const sha256 = must("sha256", check.text(table, at("sha256"), HASH, "64 lower-case hex digits"));
  const context = number("context", 1, 2 ** 31);
  const layers = number("layers", 1, 10_000);
  const kvBytesPerToken = number("kv_bytes", 0, 2 ** 31);
  const vocabulary = number("vocabulary", 1, 2 ** 31);
  const embedding = number("embedding", 1, 2 ** 31);
  const roles = check
    .texts(table, at("roles"), /^/, "a role")
    .flatMap((role, i): readonly Role[] => {
      const known = check.chosen(role, [...at("roles"), i], ROLES);
      return known ? [known] : [];
    });
  const sources = readSources(check, table, at("sources"), home);
  if (sources.length === 0) must("sources", undefined);
  const file = check.text(table, at("file"), FILE, "a file's name, without folders");
  const rank = check.count(table, at("rank"), 0, 1000);
  if (
    bytes === undefined ||
    sha256 === undefined ||
    context === undefined ||
    layers === undefined ||
    kvBytesPerToken === undefined ||
    vocabulary === undefined ||
    embedding === undefined
  ) {
    return undefined;
  }
  return {
    name,
    title: word("title") ?? name,
    file: file ?? `${name}.gguf`,
    bytes,
    sha256,
    licence: word("licence") ?? "unknown",
    quantisation: word("quantisation") ?? "unknown",
    context,
    layers,
    kvBytesPerToken,
    vocabulary,
    embedding,
    roles,
    rank: rank ?? 10,
    sources,
    origin,
  };
}

function readSources(check: Checker, table: Table, path: Path, home: string): readonly Source[] {
  const list = table["sources"];
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) {
    check.problem(path, "a list of sources is wanted here, e.g. [{path: /data/model.gguf}]");
    return [];
  }
  return list.flatMap((value: unknown, i) => {
    const at = [...path, i];
    const found = readSource(check, check.tableOf(value, at), at, home);
    return found ? [found] : [];
  });
}

function readSource(check: Checker, from: Table, path: Path, home: string): Source | undefined {
  const key = (name: string): Path => [...path, name];
  if ("url" in from) {
    check.known(from, path, ["url"]);
    const url = check.text(
      from,
      key("url"),
      /^https?:\/\/[^\s\p{Cc}]+$/u,
      "an http or https address",
    );
    if (url === undefined) return undefined;
    if (URL.canParse(url) && new URL(url).username === "") return { url };
    check.problem(key("url"), "an address without a user name and password is wanted here");
    return undefined;
  }
  for (const kind of ["python", "npm"] as const) {
    if (!(kind in from)) continue;
    check.known(from, path, [kind]);
    const at = key(kind);
    const table = check.table(from, at);
    check.known(table, at, ["package", "version", "member", "archive"]);
    const name = kind === "python" ? PYTHON_NAME : NPM_NAME;
    const found = {
      package: check.text(table, [...at, "package"], name, "a package's name"),
      version: check.text(table, [...at, "version"], VERSION, 'a version as text, e.g. "1.2"'),
      member: check.text(table, [...at, "member"], MEMBER, "a path inside the package"),
    };
    const archive = readPin(check, table, [...at, "archive"]);
    const { package: pack, version, member } = found;
    if (pack === undefined || version === undefined || member === undefined) {
      check.problem(at, "package, version and member are all wanted here");
      return undefined;
    }
    const source = { package: pack, version, member, ...(archive ? { archive } : {}) };
    return kind === "python" ? { python: source } : { npm: source };
  }
  check.known(from, path, ["host", "path"]);
  const file = check.text(from, key("path"), FOLDER, "a path from / or ~/");
  const host = check.text(from, key("host"), HOST, "a host's name");
  if (file === undefined) {
    check.problem(path, "one of url, path, python and npm is wanted here");
    return undefined;
  }
  if (host !== undefined) return { host, path: file };
  return { path: file.startsWith("~/") ? home + file.slice(1) : file };
}

function readPin(check: Checker, from: Table, path: Path): Pin | undefined {
  if (!("archive" in from)) return undefined;
  const table = check.table(from, path);
  check.known(table, path, ["bytes", "sha256"]);
  const bytes = check.count(table, [...path, "bytes"], 1, TIB);
  const sha256 = check.text(table, [...path, "sha256"], HASH, "64 lower-case hex digits");
  if (bytes !== undefined && sha256 !== undefined) return { bytes, sha256 };
  check.problem(path, "bytes and sha256 are both wanted here");
  return undefined;
}
