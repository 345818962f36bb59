/** The models that can be installed: what ships with this build, and the operator's own on top. */
import builtIn from "../../models/catalogue.yaml" with { type: "text" };
import { ShelterError } from "../errors.ts";
import type { ConfigNote } from "../hosts/settings.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Source } from "../unit.ts";

/** What a model is good for. "small": it answers, but is no authority. */
export const ROLES = ["chat", "code", "agent", "small"] as const;
export type Role = (typeof ROLES)[number];

/** One model: where its file can be had, what it must be, and the sizes that memory is reckoned with. */
export interface CatalogueEntry {
  /** e.g. "phi-3-mini": its link is models/<name>.gguf. */
  readonly name: string;
  readonly title: string;
  /** The name that it was published under. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly licence: string;
  /** llama.cpp's name, e.g. "Q4_K_M". */
  readonly quantisation: string;
  /** Tokens that it was trained for. */
  readonly context: number;
  /** Blocks that can be put on a GPU one by one; the output layer is not counted. */
  readonly layers: number;
  /** Of the KV cache at f16, over all layers. */
  readonly kvBytesPerToken: number;
  readonly vocabulary: number;
  readonly embedding: number;
  readonly roles: readonly Role[];
  /** Where several fit, the higher one is taken. */
  readonly rank: number;
  readonly sources: readonly Source[];
  readonly origin: "built-in" | "local";
}

/** What reading the catalogue gave. The built-in part always stands; a damaged local file adds nothing and is said. */
export interface Catalogue {
  readonly entries: readonly CatalogueEntry[];
  /** What is installed when nobody asked for anything: `defaultModel`, or what the local file says. */
  readonly default: string;
  /** What is wrong with models/local.yaml, by line. */
  readonly problems: readonly ConfigNote[];
  /** Keys there that no script knows: said, never fatal. */
  readonly unknown: readonly ConfigNote[];
}

/** The operator's own catalogue. */
export function localCatalogue(home: string): string {
  return inHome.models(home, "local.yaml");
}

/** Reads both catalogues. Never throws for what the operator wrote: a finding can be made of every state. */
export async function lookAtCatalogue(
  probe: Pick<Probe, "home" | "read" | "me">,
): Promise<Catalogue> {
  const { parseCatalogue } = await import("./catalogue_parse.ts");
  const shipped = await parseCatalogue(builtIn as string, "built-in", probe.me.home);
  const base: Catalogue = {
    entries: shipped.entries,
    default: shipped.default ?? "",
    problems: [],
    unknown: [],
  };
  const reading = probe.read(localCatalogue(probe.home));
  if (reading.state === "absent") return base;
  if (reading.state !== "ok") {
    const why = reading.state === "denied" ? "it may not be read" : reading.why;
    return { ...base, problems: [{ key: "", line: 1, column: 1, why }] };
  }
  const local = await parseCatalogue(reading.text, "local", probe.me.home);
  if (local.problems.length > 0) return { ...base, problems: local.problems };
  const own = new Set(local.entries.map((entry) => entry.name));
  return {
    entries: [...local.entries, ...shipped.entries.filter((entry) => !own.has(entry.name))],
    default: local.default ?? base.default,
    problems: [],
    unknown: local.unknown,
  };
}

/**
 * All models that can be installed.
 * @throws ShelterError "catalogue-damaged" with file, line and reason where models/local.yaml can't be used.
 */
export async function readCatalogue(
  probe: Pick<Probe, "home" | "read" | "me">,
): Promise<readonly CatalogueEntry[]> {
  const { entries, problems } = await lookAtCatalogue(probe);
  const [first] = problems;
  if (!first) return entries;
  const path = localCatalogue(probe.home);
  throw new ShelterError(
    "catalogue-damaged",
    `${path} can't be used`,
    problems
      .map((note) => `line ${note.line}: ${note.key === "" ? "" : `${note.key}: `}${note.why}`)
      .join("; "),
    ["nano", `+${first.line}`, path],
  );
}
