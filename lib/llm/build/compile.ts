/** Configuring and compiling, in a folder of runtime/work that the next run goes on in. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import type { Ran } from "../../machine/process.ts";
import type { CallContext } from "../../unit.ts";
import { failed, runAsOwner } from "./hands.ts";
import { noteBuilders, untilAlone } from "./left_behind.ts";
import { PROGRAMS } from "./pins.ts";
import { countTime } from "./spent.ts";
import { applyWorkarounds, type Workaround } from "./workaround.ts";

/** What to compile. */
export interface Compiling {
  readonly id: string;
  readonly flags: readonly string[];
  readonly workarounds: readonly Workaround[];
  readonly generator: "Ninja" | "Unix Makefiles";
  readonly jobs: number;
  readonly ccache?: string | undefined;
}

/** Where a build is compiled. */
export function buildTree(home: string, id: string): string {
  return inHome.work(home, "llama.cpp", id);
}

/**
 * Configures and compiles `source`; what an interrupted run compiled already is kept. Returns the folder with the programs, and the milliseconds that
 * earlier runs have worked on them.
 * @throws ShelterError "build-failed" with the compiler's words, or "disk-full".
 */
export async function compile(
  context: CallContext,
  source: string,
  what: Compiling,
): Promise<{ readonly bin: string; readonly earlier: number }> {
  const { probe, act } = context;
  const tree = buildTree(probe.home, what.id);
  await untilAlone(context, tree);
  const cache = join(tree, "CMakeCache.txt");
  if (probe.stat(tree) && !isOurs(probe.text(cache), act.real(source), act.real(tree), what)) {
    act.remove(tree); // half configured, by another generator, or the home has moved: cmake would refuse it
  }
  act.makeFolder(tree);
  const time = countTime(context, tree);
  try {
    await configureAndMake(context, source, tree, what, () => time.note());
  } finally {
    time.note(true);
  }
  return { bin: join(tree, "bin"), earlier: time.earlier };
}

async function configureAndMake(
  context: CallContext,
  source: string,
  tree: string,
  what: Compiling,
  onProgress: () => void,
): Promise<void> {
  const { probe, say } = context;
  const cache = join(tree, "CMakeCache.txt");
  say.line(probe.stat(cache) ? "Going on with the build that was begun" : "Configuring");
  const configured = await runAsOwner(context, configureArgv(context, source, tree, what), {
    onStart: (pid) => noteBuilders(context, tree, pid),
  });
  if (configured.code !== 0) {
    keepLog(context, tree, configured);
    throw failed("configuring llama.cpp", configured, ["less", join(tree, "build.log")]);
  }
  let ran = await make(context, tree, what, what.jobs, onProgress);
  if (ran.code !== 0 && what.jobs > 1 && RAN_OUT_OF_MEMORY.test(ran.stdout + ran.stderr)) {
    say.line("Memory ran out while compiling: going on with one file at a time");
    ran = await make(context, tree, what, 1, onProgress);
  }
  if (ran.code !== 0) {
    keepLog(context, tree, ran);
    throw failed("compiling llama.cpp", ran, ["less", join(tree, "build.log")]);
  }
}

const RAN_OUT_OF_MEMORY =
  /Killed signal terminated program|virtual memory exhausted|Cannot allocate memory|out of memory allocating/;

function configureArgv(
  context: CallContext,
  source: string,
  tree: string,
  { flags, workarounds, generator, ccache }: Compiling,
): string[] {
  const { probe, act } = context;
  const languages = ["C", "CXX", ...(flags.includes("GGML_CUDA=ON") ? ["CUDA"] : [])];
  return [
    probe.which("cmake") ?? "cmake",
    ...["-S", act.real(source), "-B", act.real(tree), "-G", generator, "-Wno-dev"],
    ...[...flags, ...applyWorkarounds(context, workarounds)].map((flag) => `-D${flag}`),
    // set either way, so that a tree that was begun with it goes on without
    ...languages.map((one) => `-DCMAKE_${one}_COMPILER_LAUNCHER=${ccache ?? ""}`),
  ];
}

/** Compiles with ninja or make itself, not through cmake: as our own child it ends when we are killed. */
async function make(
  context: CallContext,
  tree: string,
  { generator, ccache }: Compiling,
  jobs: number,
  onProgress: () => void,
): Promise<Ran> {
  const { probe, act, say } = context;
  const program = generator === "Ninja" ? "ninja" : "make";
  const argv = ["nice", "-n", "10", probe.which(program) ?? program, "-C", act.real(tree)];
  const work = inHome.work(probe.home);
  return runAsOwner(context, [...argv, `-j${jobs}`, ...PROGRAMS], {
    ...(ccache ? { env: ccacheEnvironment(act.real(work)) } : {}),
    onStart: (pid) => noteBuilders(context, tree, pid),
    onLine: (line) => {
      const at = progressOf(line);
      onProgress();
      if (at) say.progress("Compiling llama.cpp", at.done, at.total, at.unit);
    },
  });
}

/**
 * Settings under which homes share what ccache holds: paths below the home's work folder count as relative, and the folder compiled in does not
 * count. Where the cache stands, and how large it may be, stays the operator's choice (ccache's own default, CCACHE_DIR, ccache.conf).
 */
function ccacheEnvironment(work: string): Record<string, string> {
  return { CCACHE_BASEDIR: work, CCACHE_NOHASHDIR: "true", CCACHE_SLOPPINESS: "time_macros" };
}

/** How far a line of ninja ("[12/225] …") or make ("[ 12%] …") says it is. */
export function progressOf(
  line: string,
): { readonly done: number; readonly total: number; readonly unit: string } | undefined {
  const ninja = /^\[(\d+)\/(\d+)\] /.exec(line);
  if (ninja) return { done: Number(ninja[1]), total: Number(ninja[2]), unit: "files" };
  const percent = /^\[ *(\d{1,3})%\] /.exec(line);
  return percent ? { done: Number(percent[1]), total: 100, unit: "%" } : undefined;
}

/** True where a cmake cache is of this source, folder and generator. */
function isOurs(
  cache: string | undefined,
  source: string,
  tree: string,
  { generator }: Compiling,
): boolean {
  const value = (name: string) =>
    cache?.match(new RegExp(`^${name}:[A-Z]+=(.*)$`, "m"))?.[1]?.trim();
  return (
    value("CMAKE_HOME_DIRECTORY") === source &&
    value("CMAKE_CACHEFILE_DIR") === tree &&
    value("CMAKE_GENERATOR") === generator
  );
}

/** Keeps what a failed tool said, for the person who is told of it. */
function keepLog({ act }: CallContext, tree: string, ran: Ran): void {
  act.write(join(tree, "build.log"), `${ran.stdout}\n${ran.stderr}`);
}
