#!/usr/bin/env bun
/**
 * `bun run build`: compiles the one program, gives it its 22 names in bin/ and says what it made. `--all` adds the hosts of shared.cfg
 * (bin/hosts/<host>/) and the rescue target (bin/rescue/); `--json` prints one document.
 * It runs from a clone and is not part of the program, so it may write files and start programs itself.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { devDependencies, version } from "../package.json";
import { readConfig, type BuildTarget } from "../lib/hosts/config.ts";
import { createAct } from "../lib/machine/act.ts";
import { thisMachine } from "../lib/machine/machine.ts";
import { createProbe } from "../lib/machine/probe.ts";
import { madeLine } from "../lib/orchestra/made.ts";
import { NAMES, SHELTER } from "../lib/orchestra/names.ts";
import {
  giveNames,
  pruneReleases,
  releaseName,
  releaseProgram,
  setLive,
} from "../lib/orchestra/releases.ts";
import { foldersFor, targetFor } from "../lib/orchestra/targets.ts";
import { COMPILED_AS, SEALED } from "./compiled_as.ts";
import { helpOfAllNames } from "./help.ts";

/** Wanted of one target's 22 names together. */
const SIZE_GOAL = 130_000_000;

/** One compiled program under its 22 names. */
interface Made {
  readonly folder: string;
  readonly target: BuildTarget;
  readonly sha256: string;
  readonly bytes: number;
  /** Names that pointed to another program before. */
  readonly replaced: number;
}

/** What a program is built from; `at`: when the commit was made, UTC, ISO 8601. */
interface Sources {
  readonly commit: string | null;
  readonly dirty: boolean;
  readonly at: string | null;
}

const machine = thisMachine();
const clone = dirname(import.meta.dir);
const probe = createProbe(machine, clone, "build");
const act = createAct(machine, probe);

/** Compiles for one target into a release folder named by its hash, and returns that hash. */
async function compile(target: BuildTarget, { commit, dirty, at }: Sources): Promise<string> {
  const line = commit === null || at === null ? "" : madeLine({ version, at, commit });
  const work = join(clone, "runtime", "work", `program-${process.pid}`);
  act.remove(work);
  act.makeFolder(work);
  try {
    // the file's name goes into the program, so it is the same everywhere (measured: another name, another hash)
    const outfile = join(work, SHELTER);
    const result = await Bun.build({
      entrypoints: [join(clone, "scripts", "program.ts")],
      root: clone,
      ...COMPILED_AS,
      external: ["node-llama-cpp"],
      define: {
        SHELTER_BUILD: JSON.stringify({ commit, dirty, target, line }),
        SHELTER_HELP: JSON.stringify(await helpOfAllNames()),
      },
      compile: { target, outfile, ...SEALED },
    });
    if (!result.success) throw new AggregateError(result.logs, `could not compile for ${target}`);
    const sha256 = await probe.sha256(outfile);
    const program = releaseProgram(clone, releaseName(sha256));
    act.makeFolder(dirname(program), 0o755);
    act.chmod(outfile, 0o755);
    // one that is there keeps its inode, which the names in bin/ share, unless it was damaged
    const there = probe.stat(program) ? await probe.sha256(program) : undefined;
    if (there !== sha256) act.rename(outfile, program);
    return sha256;
  } finally {
    act.remove(work);
  }
}

/** Commit of the clone and whether its files differ from it; null outside a clone. */
async function commitOfClone(): Promise<Sources> {
  const git = async (...args: readonly string[]) => {
    const ran = await probe.run(["git", "-C", clone, ...args]);
    return ran.code === 0 ? ran.stdout.trim() : undefined;
  };
  if ((await git("rev-parse", "--show-prefix")) !== "")
    return { commit: null, dirty: false, at: null };
  const seconds = await git("-c", "log.showSignature=false", "show", "-s", "--format=%ct", "HEAD");
  return {
    commit: (await git("rev-parse", "--verify", "HEAD")) ?? null,
    dirty: (await git("status", "--porcelain")) !== "",
    at: /^\d+$/.test(seconds ?? "") ? new Date(Number(seconds) * 1000).toISOString() : null,
  };
}

function say(made: readonly Made[], commit: string | null, dirty: boolean, took: number): void {
  for (const { folder, target, sha256, bytes, replaced } of made) {
    const size = `${(bytes / 1e6).toFixed(1)} MB${bytes > SIZE_GOAL ? `, over the goal of ${SIZE_GOAL / 1e6} MB` : ""}`;
    const what = replaced === 0 ? "unchanged" : `${replaced} names now lead to it`;
    console.log(
      `${folder.slice(clone.length + 1)}/  ${NAMES.length} names of one program, ${size}, ${target}, sha256 ${sha256.slice(0, 16)}: ${what}`,
    );
  }
  const from =
    commit === null
      ? "no commit (not a git clone)"
      : commit.slice(0, 12) + (dirty ? " with changes that are in no commit" : "");
  console.log(`built from ${from} in ${(took / 1000).toFixed(1)} s`);
}

const { values } = parseArgs({
  options: { all: { type: "boolean" }, json: { type: "boolean" } },
});
const pinned = devDependencies["bun-types"];
if (Bun.version !== pinned) {
  console.error(
    `this is Bun ${Bun.version}; the same commit gives the same program only with ${pinned}. Run: npx --yes bun@${pinned} run build`,
  );
  process.exit(11);
}
const started = performance.now();
const sources = await commitOfClone();
const { commit, dirty } = sources;
const config = await readConfig(probe);
const own = targetFor(process.arch, readFileSync("/proc/cpuinfo", "utf8"));
const wanted: { readonly folder: string; readonly target: BuildTarget }[] = [
  { folder: join(clone, "bin"), target: own },
];
if (values.all) {
  for (const { folder, target } of foldersFor(config))
    wanted.push({ folder: join(clone, "bin", folder), target });
}
const hashes = new Map<BuildTarget, string>();
for (const { target } of wanted) {
  if (!hashes.has(target)) hashes.set(target, await compile(target, sources));
}
const hashFor = (target: BuildTarget) => {
  const hash = hashes.get(target);
  if (hash === undefined) throw new Error(`nothing was compiled for ${target}`);
  return hash;
};
const made = wanted.map(({ folder, target }): Made => {
  const sha256 = hashFor(target);
  const replaced = giveNames({ probe, act }, folder, sha256);
  const bytes = probe.stat(releaseProgram(clone, releaseName(sha256)))?.size ?? 0;
  return { folder, target, sha256, bytes, replaced };
});
setLive({ probe, act }, releaseName(hashFor(own)));
pruneReleases({ probe, act }, config.retention.releases);
const took = Math.round(performance.now() - started);
if (values.json) {
  console.log(JSON.stringify({ schema: 1, commit, dirty, bun: Bun.version, took_ms: took, made }));
} else {
  say(made, commit, dirty, took);
}
