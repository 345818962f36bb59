/** What a home holds that two hosts should agree on, in a form small enough to be sent: names, hashes and times of change. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import { liveBuild } from "../llm/builds.ts";
import { namedModels, storedFiles } from "../llm/store.ts";
import type { Entry, Probe } from "../machine/probe.ts";

/** A file or program by its content. `at` is when it last changed, UTC, ISO 8601. */
export interface Held {
  readonly sha256: string;
  readonly at: string;
}

/** All of it. */
export interface Holdings {
  /** The one program behind all names in bin/; null where none was built. */
  readonly programs: Held | null;
  readonly config: Held | null;
  /** Files of agents/ and dashboards/, by their path in the home. */
  readonly files: Readonly<Record<string, Held>>;
  /** Models by name. */
  readonly models: Readonly<Record<string, Held>>;
  /** The live engine. */
  readonly engine: {
    readonly id: string;
    readonly tag: string;
    readonly backends: readonly string[];
    readonly flags: readonly string[];
    readonly at: string;
  } | null;
}

/** Files that are told of, at most; and the largest one that is hashed for it, in bytes. */
export const MOST_FILES = 500;
const LARGEST = 4 * 1024 * 1024;

/** Looks. */
export async function holdingsOf(probe: Probe): Promise<Holdings> {
  const { home } = probe;
  const files: Record<string, Held> = {};
  for (const folder of ["agents", "dashboards"]) {
    for (const entry of probe.tree(join(home, folder))) {
      if (entry.kind !== "file" || entry.size > LARGEST) continue;
      if (Object.keys(files).length >= MOST_FILES) break;
      files[entry.path.slice(home.length + 1)] = await held(probe, entry);
    }
  }
  const config = probe.stat(inHome.config(home));
  const stored = storedFiles(probe);
  const models = namedModels(probe).flatMap(({ name, sha256 }) => {
    const file = stored.find((one) => one.sha256 === sha256);
    const at = file?.proof?.at;
    return sha256 === undefined || at === undefined ? [] : [[name, { sha256, at }] as const];
  });
  const build = liveBuild(probe);
  return {
    programs: programsOf(probe),
    config: config?.kind === "file" && config.size <= LARGEST ? await held(probe, config) : null,
    files,
    models: Object.fromEntries(models),
    engine: build
      ? {
          id: build.id,
          tag: build.info.tag,
          backends: build.info.backends,
          flags: build.info.flags,
          at: build.info.started,
        }
      : null,
  };
}

/** As bin/SHA256SUMS says: it is written last, and signed where the host is paired. */
function programsOf(probe: Probe): Held | null {
  const path = join(probe.home, "bin", "SHA256SUMS");
  const sha256 = /^([0-9a-f]{64}) {2}shelter$/m.exec(probe.text(path) ?? "")?.[1];
  const entry = probe.stat(path);
  return sha256 === undefined || !entry ? null : { sha256, at: timeOf(entry) };
}

async function held(probe: Probe, entry: Entry): Promise<Held> {
  return { sha256: await probe.sha256(entry.path), at: timeOf(entry) };
}

function timeOf({ mtime }: Entry): string {
  return new Date(Math.round(mtime)).toISOString();
}
