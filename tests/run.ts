#!/usr/bin/env bun
/**
 * The one test command: `bun tests/run.ts [tier …]`. Runs each tier that this machine can run, says of the others why not and how to
 * enable them, and ends with one line `N passed, N failed, N skipped` over all. SHELTER_REQUIRE=all, or names of tiers: what is named
 * there may not be left out.
 *
 * The tests get SHELTER_TEST_BIN (folder of the compiled binaries, tiers that need them), SHELTER_TEST_RUN (a folder for this run
 * alone) and SHELTER_TEST_CACHE (a folder that stays: what is in it may save time and must never be needed).
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseReport } from "./runner/junit.ts";
import { sum, tally, type Tally } from "./runner/tally.ts";
import {
  here,
  parseRequired,
  parseTier,
  tierOf,
  TIERS,
  UnknownTier,
  type Tier,
} from "./runner/tiers.ts";

const REPOSITORY = resolve(import.meta.dir, "..");
/** Seconds that a test process has to end after SIGTERM. */
const GRACE = 20;

let interrupted = false;
let current: Bun.Subprocess | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill("SIGTERM");
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UnknownTier)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function main(names: readonly string[]): Promise<number> {
  const chosen = names.length === 0 ? TIERS : TIERS.filter((tier) => pick(names).has(tier.name));
  const required = parseRequired(process.env["SHELTER_REQUIRE"]);
  const files = filesByTier();
  const runFolder = mkdtempSync(join(tmpdir(), "shelter-test-"));
  const env = environment(runFolder);
  const tallies: Tally[] = [];
  let built: boolean | undefined;
  try {
    for (const tier of chosen) {
      if (interrupted) break;
      const own = files.get(tier.name) ?? [];
      const must = required.has(tier.name);
      const started = performance.now();
      console.log(`\n== ${tier.name}: ${tier.what}`);
      const lacks = tier.lacks(here);
      for (const { what, how } of lacks) {
        console.log(`${tier.name} is left out: this machine has no ${what}. To enable it: ${how}`);
      }
      if (lacks.length > 0 || own.length === 0) {
        if (own.length === 0) console.log(`${tier.name} has no tests`);
        if (must) tallies.push(failure(`${tier.name} may not be left out (SHELTER_REQUIRE)`));
        continue;
      }
      if (tier.binaries) {
        built ??= await run(["scripts/build.ts"], env, 600);
        if (!built) {
          tallies.push(failure(`${tier.name}: the binaries could not be built`));
          continue;
        }
      }
      const result = await runTier(tier, own, env, runFolder, must);
      tallies.push(result);
      const seconds = Math.round((performance.now() - started) / 1000);
      for (const note of result.notes) console.log(note);
      console.log(`${tier.name}: ${line(result)} (${seconds} s)`);
    }
  } finally {
    rmSync(runFolder, { recursive: true, force: true });
  }
  const all = sum(tallies);
  console.log("");
  for (const note of all.notes) console.log(note);
  const nothing = all.passed + all.failed === 0;
  if (nothing) console.log("no test ran");
  if (interrupted) console.log("interrupted");
  console.log(line(all));
  if (interrupted) return 130;
  return all.failed > 0 || nothing ? 1 : 0;
}

function pick(names: readonly string[]): ReadonlySet<string> {
  return new Set(names.map(parseTier));
}

/** Test files of each tier, relative to the repository. */
function filesByTier(): Map<string, string[]> {
  const files = new Map<string, string[]>();
  for (const file of [...new Bun.Glob("**/*.test.ts").scanSync(join(REPOSITORY, "tests"))].sort()) {
    const tier = tierOf(file);
    if (tier) files.set(tier, [...(files.get(tier) ?? []), `tests/${file}`]);
  }
  return files;
}

/** What tests inherit: never the operator's own home. */
function environment(runFolder: string): Record<string, string> {
  const base = process.env["XDG_CACHE_HOME"] ?? join(process.env["HOME"] ?? tmpdir(), ".cache");
  const cache = process.env["SHELTER_TEST_CACHE"] ?? join(base, "mountain-shelter-tests");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const { SHELTER_HOME: _, ...rest } = process.env;
  return {
    ...Object.fromEntries(
      Object.entries(rest).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])),
    ),
    SHELTER_TEST_BIN: join(REPOSITORY, "bin"),
    SHELTER_TEST_RUN: runFolder,
    SHELTER_TEST_CACHE: cache,
  };
}

async function runTier(
  tier: Tier,
  files: readonly string[],
  env: Readonly<Record<string, string>>,
  folder: string,
  required: boolean,
): Promise<Tally> {
  const report = join(folder, `${tier.name}.xml`);
  const options = [
    "test",
    `--timeout=${tier.testSeconds * 1000}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
  ];
  const code = await exitCode(
    [...options, ...files.map((file) => `./${file}`)],
    env,
    tier.limitSeconds,
  );
  const cases = existsSync(report) ? parseReport(readFileSync(report, "utf8")) : undefined;
  return tally({ files, cases, code }, required);
}

async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  seconds: number,
): Promise<boolean> {
  return (await exitCode(args, env, seconds)) === 0;
}

/** Runs Bun with these arguments, its output going where ours goes. Undefined when a signal or the limit ended it. */
async function exitCode(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  seconds: number,
): Promise<number | undefined> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: REPOSITORY,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  current = child;
  let hard: Timer | undefined;
  const limit = setTimeout(() => {
    console.log(`ended after its limit of ${seconds} s`);
    child.kill("SIGTERM");
    hard = setTimeout(() => child.kill("SIGKILL"), GRACE * 1000);
  }, seconds * 1000);
  await child.exited;
  clearTimeout(limit);
  clearTimeout(hard);
  current = undefined;
  return child.signalCode === null ? (child.exitCode ?? undefined) : undefined;
}

function failure(note: string): Tally {
  console.log(`failed: ${note}`);
  return { passed: 0, failed: 1, skipped: 0, notes: [`failed: ${note}`] };
}

function line({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
