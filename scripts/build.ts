#!/usr/bin/env bun
/**
 * `bun run build`: compiles the one program, gives it its 22 names in bin/ and says what it made. `--all` adds the hosts of shared.cfg
 * (bin/hosts/<host>/) and the rescue target (bin/rescue/); `--json` prints one document.
 * It runs from a clone and is not part of the program, so it may write files and start programs itself.
 */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { devDependencies } from "../package.json";
import { NAMES, SHELTER } from "../lib/orchestra/names.ts";
import { linkDurably, temporaryBeside, writeDurably } from "../lib/machine/durable.ts";
import { scrubbedEnvironment } from "../lib/machine/environment.ts";
import { sha256OfFile } from "../lib/machine/hash.ts";
import { thisMachine } from "../lib/machine/machine.ts";
import { createProbe } from "../lib/machine/probe.ts";
import { readConfig, type BuildTarget } from "../lib/hosts/config.ts";
import { foldersFor, targetFor } from "../lib/orchestra/targets.ts";
import { helpOfAllNames } from "./help.ts";

/** Wanted of one target's 22 names together (issue 3). */
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

const clone = dirname(import.meta.dir);
const releases = join(clone, "runtime", "bin");

/** Compiles for one target into a release folder named by its hash, and returns that hash. */
async function compile(
  target: BuildTarget,
  commit: string | null,
  dirty: boolean,
): Promise<string> {
  const work = join(clone, "runtime", "work", `program-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true, mode: 0o700 });
  try {
    // the file's name goes into the program, so it is the same everywhere (measured: another name, another hash)
    const outfile = join(work, SHELTER);
    const result = await Bun.build({
      entrypoints: [join(clone, "scripts", "program.ts")],
      root: clone,
      target: "bun",
      format: "esm",
      splitting: true,
      bytecode: true,
      minify: true,
      sourcemap: "none",
      external: ["node-llama-cpp"],
      define: {
        SHELTER_BUILD: JSON.stringify({ commit, dirty, target }),
        SHELTER_HELP: JSON.stringify(await helpOfAllNames()),
      },
      compile: { target, outfile, autoloadDotenv: false, autoloadBunfig: false },
    });
    if (!result.success) throw new AggregateError(result.logs, `could not compile for ${target}`);
    const sha256 = await sha256OfFile(outfile);
    const release = join(releases, sha256.slice(0, 16));
    mkdirSync(release, { recursive: true, mode: 0o755 });
    chmodSync(outfile, 0o755);
    if (!existsSync(join(release, SHELTER))) renameSync(outfile, join(release, SHELTER));
    return sha256;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Gives a release its 22 names in `folder`, one by one and each atomically; the list of hashes comes last. */
function giveNames(folder: string, target: BuildTarget, sha256: string): Made {
  const program = join(releases, sha256.slice(0, 16), SHELTER);
  const { ino, size } = lstatSync(program);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  let replaced = 0;
  for (const name of NAMES) {
    const path = join(folder, name);
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) continue;
    const temporary = temporaryBeside(path);
    linkSync(program, temporary);
    renameSync(temporary, path);
    replaced++;
  }
  const sums = NAMES.map((name) => `${sha256}  ${name}\n`).join("");
  const list = join(folder, "SHA256SUMS");
  if (!existsSync(list) || readFileSync(list, "utf8") !== sums) {
    writeDurably(list, sums, { mode: 0o644, durable: true });
  }
  return { folder, target, sha256, bytes: size, replaced };
}

/** `current` and `last` name this host's releases. Of the others, those that a name in bin/ leads to stay, and the newest up to `keep`. */
function prune(sha256: string, keep: number): void {
  const [current, last] = [join(releases, "current"), join(releases, "last")];
  const live = sha256.slice(0, 16);
  const before = lstatSync(current, { throwIfNoEntry: false }) ? readlinkSync(current) : undefined;
  if (before !== live) {
    if (before !== undefined && existsSync(join(releases, before)))
      linkDurably(last, before, { durable: true });
    linkDurably(current, live, { durable: true });
  }
  const linked = [current, last]
    .filter((link) => lstatSync(link, { throwIfNoEntry: false }))
    .map((link) => readlinkSync(link));
  const idle = readdirSync(releases, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !linked.includes(entry.name))
    .map((entry) => ({
      path: join(releases, entry.name),
      at: lstatSync(join(releases, entry.name)).mtimeMs,
    }))
    .filter(
      ({ path }) => (lstatSync(join(path, SHELTER), { throwIfNoEntry: false })?.nlink ?? 0) <= 1,
    )
    .sort((a, b) => b.at - a.at);
  for (const { path } of idle.slice(Math.max(0, keep - linked.length)))
    rmSync(path, { recursive: true, force: true });
}

/** Commit of the clone and whether its files differ from it; null outside a clone. */
function commitOfClone(): { readonly commit: string | null; readonly dirty: boolean } {
  const git = (...args: readonly string[]) => {
    const ran = Bun.spawnSync(["git", "-C", clone, ...args], {
      env: scrubbedEnvironment(process.env),
      stderr: "ignore",
    });
    return ran.success ? ran.stdout.toString().trim() : undefined;
  };
  if (git("rev-parse", "--show-prefix") !== "") return { commit: null, dirty: false };
  return {
    commit: git("rev-parse", "--verify", "HEAD") ?? null,
    dirty: git("status", "--porcelain") !== "",
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
const { commit, dirty } = commitOfClone();
const config = await readConfig(createProbe(thisMachine(), clone, "build"));
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
  if (!hashes.has(target)) hashes.set(target, await compile(target, commit, dirty));
}
const hashFor = (target: BuildTarget) => {
  const hash = hashes.get(target);
  if (hash === undefined) throw new Error(`nothing was compiled for ${target}`);
  return hash;
};
const made = wanted.map(({ folder, target }) => giveNames(folder, target, hashFor(target)));
prune(hashFor(own), config.retention.releases);
const took = Math.round(performance.now() - started);
if (values.json) {
  console.log(JSON.stringify({ schema: 1, commit, dirty, bun: Bun.version, took_ms: took, made }));
} else {
  say(made, commit, dirty, took);
}
