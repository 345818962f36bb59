/** A fake machine with tiny models, and 03_install_models on it. */
import { installedModels } from "../../lib/llm/store.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Args, Finding, RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/03_install_models.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "./fake_machine.ts";
import { ggufFile, tinyModel } from "./gguf_writer.ts";
import { catalogueText, type TestModel } from "./models.ts";
import { runOn } from "./run.ts";

const made: FakeWorld[] = [];
/** Ends all worlds of a test. */
export function disposeWorlds(): void {
  for (const one of made.splice(0)) one.dispose();
}

export const at = (path: string) => `${FAKE_HOME}/${path}`;
export const memory = (gib: number) =>
  `MemTotal: 33554432 kB\nMemAvailable: ${Math.round(gib * 1048576)} kB\n`;
export const A: TestModel = {
  name: "a",
  bytes: ggufFile(tinyModel("a")),
  sources: [{ path: "/data/a" }],
};
export const B: TestModel = {
  name: "b",
  bytes: ggufFile(tinyModel("b")),
  sources: [{ path: "/data/b" }],
};
export const hashOf = (model: TestModel) => model.claims?.sha256 ?? sha256(model.bytes);
export const stored = (model: TestModel) => at(`models/sha256/${hashOf(model)}`);

export interface Setting {
  readonly models?: readonly TestModel[];
  readonly local?: string;
  readonly gib?: number;
  readonly files?: Readonly<Record<string, FakeFile>>;
  readonly now?: () => number;
  readonly gpu?: string;
  readonly cpu?: string;
}
export function world(setting: Setting = {}): FakeWorld {
  const { models = [A, B], local, gib = 16, files, now, gpu, cpu = "avx2" } = setting;
  const one = fakeMachine({
    files: {
      "/proc/meminfo": memory(gib),
      "/proc/cpuinfo": `processor\t: 0\nflags\t\t: fpu sse2 ${cpu}\n`,
      ...Object.fromEntries(models.map((model) => [`/data/${model.name}`, { bytes: model.bytes }])),
      [at("models/local.yaml")]: local ?? catalogueText(models, models[0]?.name),
      ...files,
    },
    ...(now ? { now } : {}),
    ...(gpu === undefined ? {} : { programs: { "nvidia-smi": () => ({ stdout: gpu }) } }),
  });
  made.push(one);
  return one;
}
export const run = (
  here: FakeWorld,
  want: Args = {},
  mode: "apply" | "plan" | "verify" | "undo" = "apply",
) => runOn(here, unit, { want: { ...want, [mode]: true }, mode });
export const fails = (report: RunReport) => report.findings.filter((one) => one.level === "fail");
export const finding = (all: readonly Finding[], id: string) => all.find((one) => one.id === id);
export const servable = async (here: FakeWorld) =>
  (await installedModels(createProbe(here.machine, FAKE_HOME, "testhost"))).map((one) => one.name);
