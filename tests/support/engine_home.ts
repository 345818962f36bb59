/** A home with a live build of the real engine and the small real model, made once a run and shared by the tests that need one. */
import {
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  COMPILED,
  documentOf,
  type Ended,
  freshHome,
  runName,
  SOURCE,
  type TestHome,
  type Way,
} from "./program.ts";

/** The compiled binaries where the run has them, else the source. */
export const ENGINE_WAY: Way = process.env["SHELTER_TEST_BIN"] === undefined ? SOURCE : COMPILED;

/** What real fetches and a shared compiler cache need of the caller's environment; nothing else is passed on. */
const PASSED = new Set([
  "CCACHE_DIR",
  "HOME",
  "NPM_CONFIG_REGISTRY",
  "PIP_CERT",
  "PIP_INDEX_URL",
  "SSL_CERT_FILE",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
]);

/** Environment for a script that really builds and fetches. What is compiled once stays in SHELTER_TEST_CACHE where there is one. */
export function engineEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    (pair): pair is [string, string] => PASSED.has(pair[0]) && pair[1] !== undefined,
  );
  const cache = process.env["SHELTER_TEST_CACHE"];
  return {
    ...(cache === undefined ? {} : { CCACHE_DIR: join(cache, "ccache") }),
    ...Object.fromEntries(kept),
  };
}

let made: Promise<string> | undefined;

/**
 * The shared home. Tests may read it and serve from it, and must leave its files as they are: `engineCopy` is for the others.
 * SHELTER_TEST_ENGINE_HOME names one that is there already, and saves building.
 */
export function engineHome(): Promise<string> {
  return (made ??= makeHome());
}

async function makeHome(): Promise<string> {
  const given = process.env["SHELTER_TEST_ENGINE_HOME"];
  if (given !== undefined) return given;
  const run = process.env["SHELTER_TEST_RUN"];
  const folder = run ?? mkdtempSync(join(tmpdir(), "shelter-engine-"));
  if (run === undefined) process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const place = { folder, home: join(folder, "engine home") };
  for (const script of ["02_scaffold_dirs", "03_build_llama_cpp", "03_install_models"]) {
    await must(await runEngine(script, ["--yes", "--json"], place), script);
  }
  return place.home;
}

/** Runs a script for the engine tier. */
export function runEngine(
  script: string,
  args: readonly string[],
  place: Pick<TestHome, "home" | "folder">,
): Promise<Ended> {
  return runName(ENGINE_WAY, script, args, place, { env: engineEnvironment() });
}

/** Throws with all that was said where a script did not end well. */
async function must(ended: Ended, script: string): Promise<void> {
  if (ended.code === 0) return Promise.resolve();
  const { error } = documentOf(ended);
  throw new Error(`${script} ended with ${ended.code}: ${JSON.stringify(error)}\n${ended.stderr}`);
}

/**
 * A home of the test's own with the same builds and models, without history. Files are hard links where that is possible, so it costs no
 * space: replace what you change, never write into it.
 */
export async function engineCopy(name = "home"): Promise<TestHome> {
  const from = await engineHome();
  const place = freshHome(name);
  for (const part of ["runtime/llama.cpp", "runtime/verified", "models"]) {
    copyLinked(join(from, part), join(place.home, part));
  }
  return place;
}

function copyLinked(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true });
  if (!lstatSync(from).isDirectory()) return linkOrCopy(from, to);
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const one of readdirSync(from)) copyLinked(join(from, one), join(to, one));
}

function linkOrCopy(from: string, to: string): void {
  if (lstatSync(from).isSymbolicLink()) return cpSync(from, to, { verbatimSymlinks: true });
  try {
    linkSync(from, to);
  } catch {
    cpSync(from, to); // another file system
  }
}
