/** A fake machine with a live build, a model, a llama-bench and a llama-server whose speeds a test sets. */
import type { Args, AnyUnit, CallContext } from "../../lib/unit.ts";
import type { Probe } from "../../lib/machine/probe.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { unit as benchmark } from "../../scripts/04_llm_benchmark.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeFile,
  type FakeMachineOptions,
  type FakeProgram,
  type FakeWorld,
} from "./fake_machine.ts";

const WEIGHTS = "the weights of a tiny model";
const HASH = sha256(WEIGHTS);
const at = (path: string) => `${FAKE_HOME}/${path}`;

/** Time of change and inode that model files have for `steady`: copies of a world would have others. */
const STEADY = { mtime: 1, inode: 1 };

/** Speeds in tokens per second that the fake engine has, by build; a test may change them on the way. */
export interface Speeds {
  [build: string]: { prompt: number; generation: number };
}

/** How a world differs from the usual one. */
export interface BenchWorld {
  readonly builds?: readonly string[];
  readonly live?: string;
  readonly models?: readonly string[];
  readonly speeds?: Speeds;
  /** Ends llama-bench, or the server before it answers, with this. */
  readonly crash?: { bench?: boolean; server?: boolean };
  readonly root?: boolean;
  readonly files?: Readonly<Record<string, FakeFile>>;
  readonly now?: () => number;
}

export const BUILD_A = "b-aaaaaaaaaaaa";
export const BUILD_B = "b-bbbbbbbbbbbb";

/** Four cores of two threads, intel_pstate active, no throttling counters. */
const CPU: Readonly<Record<string, FakeFile>> = {
  "/proc/cpuinfo": Array.from(
    { length: 8 },
    (_, cpu) =>
      `processor\t: ${cpu}\nphysical id\t: 0\ncore id\t\t: ${cpu >> 1}\nflags\t\t: avx2\n`,
  ).join("\n"),
  "/proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 12000000 kB\n",
  "/sys/devices/system/cpu/cpufreq/policy0/scaling_driver": "intel_pstate\n",
  "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "powersave\n",
  "/sys/devices/system/cpu/cpufreq/policy0/scaling_available_governors": "performance powersave\n",
  "/sys/devices/system/cpu/cpufreq/policy0/energy_performance_preference": "balance_performance\n",
  "/sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
};

/** The parts that a fake machine of this kind is made from. */
export function benchMachine(world: BenchWorld = {}): FakeMachineOptions {
  const builds = world.builds ?? [BUILD_A];
  const live = world.live ?? builds[0];
  const speeds = world.speeds ?? {};
  const buildOf = (argv: readonly string[]) =>
    builds.find((id) => argv[0]?.includes(`/${id}/`)) ?? "";
  const speedOf = (id: string) => speeds[id] ?? { prompt: 400, generation: 100 };
  const engine = fakeServer((argv) => speedOf(buildOf(argv)), world.crash ?? {});
  const bench: FakeProgram = (argv) => {
    if (world.crash?.bench) return { code: 1, stderr: "main: error: failed to load model\n" };
    const after = (flag: string) => Number(argv[argv.indexOf(flag) + 1]);
    const { prompt, generation } = speedOf(buildOf(argv));
    const samples = (speed: number) =>
      Array.from({ length: after("--repetitions") }, (_, i) => speed * (1 + 0.002 * (i % 3)));
    return {
      stdout: JSON.stringify([
        { n_prompt: after("--n-prompt"), n_gen: 0, samples_ts: samples(prompt) },
        { n_prompt: 0, n_gen: after("--n-gen"), samples_ts: samples(generation) },
      ]),
    };
  };
  const files: Record<string, FakeFile> = { ...CPU };
  for (const [index, id] of builds.entries()) {
    files[at(`runtime/llama.cpp/${id}/build-info.json`)] = buildInfo(id, index);
  }
  if (live !== undefined) files[at("runtime/llama.cpp/current")] = { link: live };
  for (const name of world.models ?? ["tiny"]) {
    files[at(`models/sha256/${HASH}`)] = { text: WEIGHTS, mode: 0o600 };
    files[at(`models/${name}.gguf`)] = { link: `sha256/${HASH}` };
    files[at(`runtime/verified/${HASH}.json`)] = proof();
  }
  return {
    programs: { "llama-bench": bench, "llama-server": engine.program },
    fetch: engine.fetch,
    files: { ...files, ...world.files },
    me: { root: world.root ?? false },
    ...(world.now ? { now: world.now } : {}),
  };
}

/** A fake machine of this kind. */
export function benchWorld(world: BenchWorld = {}): FakeWorld {
  return fakeMachine(benchMachine(world));
}

/** The benchmark without waiting for anything to grow warm. */
export const QUICK: Args = { yes: true, preheat: "0" };

/** A unit, looking at model files as if copying a world did not change their inodes. */
export function steadily(unit: AnyUnit): AnyUnit {
  return {
    ...unit,
    observe: (probe, want) => unit.observe(steady(probe), want) as Promise<unknown>,
    calls: Object.fromEntries(
      Object.entries(unit.calls ?? {}).map(([name, call]) => [
        name,
        (context: CallContext, args) => call({ ...context, probe: steady(context.probe) }, args),
      ]),
    ),
  };
}

export const steadyBenchmark = steadily(benchmark);

function steady(probe: Probe): Probe {
  return {
    ...probe,
    stat: (path) => {
      const entry = probe.stat(path);
      return entry && path.startsWith(at("models/sha256/")) ? { ...entry, ...STEADY } : entry;
    },
  };
}

function buildInfo(id: string, age: number): string {
  return JSON.stringify({
    schema: 1,
    id,
    tag: "v0.5.0",
    commit: "c".repeat(40),
    tree: "t".repeat(40),
    backends: ["cpu"],
    flags: [],
    inputs: {},
    asked: { with: [], without: [] },
    generator: "Ninja",
    ccache: false,
    jobs: 1,
    started: new Date(Date.UTC(2026, 0, 10 - age)).toISOString(),
    took_ms: 1,
    files: {},
  });
}

function proof(): string {
  const head = { types: [], quantisation: "Q4_1", context: 2048, kvBytesPerToken: 1024, layers: 2 };
  return JSON.stringify({
    schema: 1,
    sha256: HASH,
    bytes: WEIGHTS.length,
    ...STEADY,
    at: "2026-01-01T00:00:00.000Z",
    head,
  });
}

/** llama-server and its answers; tells its speeds, and serves until it is ended. */
function fakeServer(
  speedOf: (argv: readonly string[]) => { readonly prompt: number; readonly generation: number },
  crash: NonNullable<BenchWorld["crash"]>,
) {
  const running = new Map<string, { readonly prompt: number; readonly generation: number }>();
  const program: FakeProgram = async (argv, _world, _options, killed) => {
    if (crash.server) return { code: 1, stderr: "E srv: failed to load model\n" };
    const port = argv[argv.indexOf("--port") + 1] ?? "";
    running.set(port, speedOf(argv));
    await killed;
    running.delete(port);
    return {};
  };
  const fetch = async (url: string, init?: RequestInit): Promise<Response> => {
    const { port, pathname } = new URL(url);
    const speed = running.get(port);
    if (!speed) throw new Error("connection refused");
    if (pathname === "/health") return new Response("{}");
    const asked = (await new Response(init?.body).json()) as { readonly max_tokens: number };
    const timings = {
      prompt_n: 10,
      prompt_per_second: speed.prompt,
      predicted_n: asked.max_tokens,
      predicted_per_second: speed.generation,
    };
    const events = [{ choices: [{ delta: { content: "yes" } }] }, { choices: [], timings }]
      .map((one) => `data: ${JSON.stringify(one)}\n\n`)
      .join("");
    return new Response(`${events}data: [DONE]\n\n`);
  };
  return { program, fetch };
}
