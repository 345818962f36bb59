/** What installing the services looks at. Reads only. */
import { join } from "node:path";
import { readConfig } from "../hosts/config.ts";
import { ShelterError } from "../errors.ts";
import { BUILD_ID, builds, infoPath, liveBuild, proofOf, type Build } from "../llm/builds.ts";
import { hasGpu } from "../llm/profile.ts";
import { readResults } from "../llm/bench/results.ts";
import { sha256 } from "../machine/hash.ts";
import type { Probe } from "../machine/probe.ts";
import { releaseName } from "../orchestra/releases.ts";
import { COMPILED } from "../release.ts";
import { serviceState } from "../steps/services.ts";
import { paired } from "../trust/store.ts";
import type { Failure, HostName, ScriptId } from "../unit.ts";
import { elsewhereOf } from "./elsewhere.ts";
import { planEngine } from "./engine_program.ts";
import { kindOf, type Kind } from "./kind.ts";
import { isRoots, type Links, readLinks, readLive, RELEASE_ID } from "./live.ts";
import { engineFolder, GIVEN_UP, inServices, LIVE, releaseProgram, TOP } from "./places.ts";
import { provenRelease } from "./proven.ts";
import { unitTexts, type UnitText, type UnitWorld } from "./unit_files.ts";

/** A file to be put below the root-owned folder. */
export interface InstallFile {
  readonly from: string;
  readonly to: string;
  readonly sha256: string;
}

/** Something that is installed as a whole, and whether it stands there as it should. */
export interface Installable {
  readonly id: string;
  readonly files: readonly InstallFile[];
  readonly there: boolean;
}

/** A unit as it is wanted, and as it was found. */
export interface UnitFound extends UnitText {
  readonly sameFiles: boolean;
  readonly enabled: boolean;
  /** It runs: one that ends again and again does not, whatever it said of itself in between. */
  readonly active: boolean;
  readonly falling: boolean;
}

/** What installing looks at. */
export interface ServicesFacts {
  readonly host: HostName;
  readonly home: string;
  readonly kind: Kind;
  readonly systemd: boolean;
  /** False where the folder for what root installs is there and somebody else can write in it. */
  readonly topIsRoots: boolean;
  /** Paths that stand in the units. */
  readonly paths: readonly string[];
  readonly owner: { readonly uid: number; readonly user: string };
  /** Where the program was looked for that would be installed. */
  readonly programPath: string;
  readonly program?: Installable;
  /** The live build first, then the one before where a proven one is kept. */
  readonly engines: readonly Installable[];
  /** A file of a build that is not what its build-info.json says. */
  readonly damaged?: string;
  /** Why the engine could not serve: no build, no model. */
  readonly missing?: Failure;
  /** Bytes that the engine may take, and how many models at once. */
  readonly memory?: { readonly most: number; readonly models: number };
  /** The release that was installed last, and the one that serves: the release before where the installed one was given up. */
  readonly installed?: string;
  readonly serving?: string;
  /** The links of root's releases as they are; `serves` is the wanted release's. */
  readonly links: Links;
  /** The release that was proven before the installed one, where its program is there. */
  readonly before?: string;
  /** The release that the wanted one would take the place of, where that was proven: its gateway and watcher run from it. */
  readonly proven?: string;
  /** Releases and builds that stand there and belong to nothing any more. */
  readonly stale: readonly string[];
  readonly place: boolean;
  readonly units: readonly UnitFound[];
  /** The live build was given up for the one before. */
  readonly givenUp: boolean;
  readonly peers: readonly HostName[];
  /** Whether the live build was measured: its steps are a guess else. */
  readonly measured: boolean;
}

/** Looks at this host; `watcher` is the script that the watcher's unit runs. */
export async function observeServices(probe: Probe, watcher: ScriptId): Promise<ServicesFacts> {
  const { home, host, owner } = probe;
  const config = await readConfig(probe);
  const kind = kindOf(
    host,
    config.hosts.find(({ name }) => name === host),
  );
  const programPath = COMPILED ? process.execPath : join(home, "bin", "shelter");
  const program = await observeProgram(probe, programPath);
  const live = liveBuild(probe);
  const before = builds(probe).find(({ id }) => id !== live?.id && proofOf(probe, id));
  const kept = [live, before].filter((one) => one !== undefined);
  const engines = await Promise.all(kept.map((build) => observeEngine(probe, build)));
  const damaged = await damagedFile(probe, kept);
  const plan = live ? await planned(probe, live) : NO_ENGINE;
  const user = nameOf(probe, "/etc/passwd", owner.uid);
  const world: UnitWorld | undefined =
    program && live && "memory" in plan
      ? {
          home,
          user,
          uid: owner.uid,
          group: nameOf(probe, "/etc/group", owner.gid),
          release: program.id,
          build: live.id,
          before: before?.id,
          gpu: { engine: hasGpu(live), host: kind === "shadow" || hasGpu(live) },
          elsewhere: elsewhereOf(probe),
          engineMemory: plan.memory.most,
          watcher,
        }
      : undefined;
  const { installed, serving, before: named } = readLive(probe);
  const earlier = named && probe.stat(releaseProgram(named)) ? named : undefined;
  const proven = await provenRelease(probe, serving, program?.id, earlier);
  return {
    host,
    home,
    kind,
    systemd: probe.stat("/run/systemd/system")?.kind === "dir",
    paths: [home, ...elsewhereOf(probe)],
    topIsRoots: probe.stat(TOP) === undefined || isRoots(probe, TOP, "dir"),
    owner: { uid: owner.uid, user },
    programPath,
    ...(program ? { program } : {}),
    engines,
    ...(damaged === undefined ? {} : { damaged }),
    ...plan,
    ...(installed === undefined ? {} : { installed }),
    ...(serving === undefined ? {} : { serving }),
    links: readLinks(probe, program?.id),
    ...(earlier === undefined ? {} : { before: earlier }),
    ...(proven === undefined ? {} : { proven }),
    stale: [
      ...staleReleases(probe, [program?.id, installed, serving, earlier]),
      ...staleBuilds(probe, kept),
    ],
    place: probe.stat(inServices.folder(home))?.kind === "dir",
    units: world ? await Promise.all(unitTexts(world).map((one) => observeUnit(probe, one))) : [],
    givenUp: live !== undefined && probe.text(GIVEN_UP)?.trim() === live.id,
    peers: paired(probe).map(({ name }) => name),
    measured: readResults(probe).results.some(({ result }) => result.build === live?.id),
  };
}

const NO_ENGINE = {
  missing: new ShelterError("no-engine", "the engine's service", "no engine is live yet", [
    "./bin/03_build_llama_cpp",
  ]).failure(),
};

async function planned(
  probe: Probe,
  live: Build,
): Promise<Pick<ServicesFacts, "missing"> | Required<Pick<ServicesFacts, "memory">>> {
  try {
    const { memory } = await planEngine(probe, live);
    return { memory: { most: memory.most, models: memory.models } };
  } catch (error) {
    if (error instanceof ShelterError) return { missing: error.failure() };
    throw error;
  }
}

async function observeProgram(probe: Probe, from: string): Promise<Installable | undefined> {
  if (probe.stat(probe.real(from) ?? from)?.kind !== "file") return undefined;
  const hash = await probe.sha256(from);
  const id = releaseName(hash);
  return installable(probe, id, [{ from, to: releaseProgram(id), sha256: hash }]);
}

/** The server, what it may load beside it, and the build's own account; the other programs are no part of the service. */
async function observeEngine(probe: Probe, { id, folder, info }: Build): Promise<Installable> {
  const account = infoPath(folder);
  const files = Object.entries(info.files)
    .filter(([name]) => name === "bin/llama-server" || !name.startsWith("bin/llama-"))
    .map(([name, { sha256: hash }]) => ({ name, from: join(folder, name), sha256: hash }));
  const text = probe.text(account) ?? "";
  return installable(probe, id, [
    ...files.map(({ name, ...file }) => ({ ...file, to: engineFolder(id, name) })),
    { from: account, to: engineFolder(id, "build-info.json"), sha256: sha256(text) },
  ]);
}

async function installable(
  probe: Probe,
  id: string,
  files: readonly InstallFile[],
): Promise<Installable> {
  let there = true;
  for (const { to, sha256: hash } of files) {
    there &&= isRoots(probe, to, "file") && (await probe.sha256(to)) === hash;
  }
  return { id, files, there };
}

async function damagedFile(probe: Probe, kept: readonly Build[]): Promise<string | undefined> {
  for (const { folder, info } of kept) {
    const name = "bin/llama-server";
    const path = join(folder, name);
    const wanted = info.files[name]?.sha256;
    if (probe.stat(path)?.kind !== "file" || (await probe.sha256(path)) !== wanted) return path;
  }
  return undefined;
}

async function observeUnit(probe: Probe, unit: UnitText): Promise<UnitFound> {
  const sameFiles = unit.files.every(({ path, content }) => probe.text(path) === content);
  const { enabled, active, falling } = await serviceState(probe, unit.name);
  return { ...unit, sameFiles, enabled, active: active && !falling, falling };
}

/** Releases that nothing leads to any more, with the links of their own. */
function staleReleases(probe: Probe, keep: readonly (string | undefined)[]): readonly string[] {
  return [LIVE, TOP].flatMap((folder) =>
    probe
      .list(folder)
      .filter((name) => RELEASE_ID.test(name) && !keep.includes(name))
      .map((name) => join(folder, name)),
  );
}

/** Builds that are neither live nor the one before. */
function staleBuilds(probe: Probe, kept: readonly Build[]): readonly string[] {
  return probe
    .list(join(TOP, "engine"))
    .filter((name) => BUILD_ID.test(name) && !kept.some(({ id }) => id === name))
    .map((name) => engineFolder(name));
}

/** The name of a user or group; its number where there is none. passwd(5), group(5). */
function nameOf(probe: Probe, file: string, id: number): string {
  const rows = (probe.text(file) ?? "").split("\n").map((row) => row.split(":"));
  return rows.find((row) => row[2] === String(id))?.[0] ?? String(id);
}
