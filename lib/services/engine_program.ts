/** `shelter engine run`: the engine as a service. Presets from what is installed and tuned, one router, ready when a model has really answered. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { readDocument } from "../gateway/ground.ts";
import { json } from "../facts/text.ts";
import { parseMeminfo } from "../facts/memory.ts";
import { readConfig } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import { takeLock } from "../keep/lock.ts";
import { readResults, type BenchResult } from "../llm/bench/results.ts";
import { liveBuild, parseBuildInfo } from "../llm/builds.ts";
import { governorChanges, readPolicies, withGovernor } from "../llm/governor.ts";
import type { Launched } from "../llm/launch.ts";
import { servedProfile, type Profile, type ServingBuild } from "../llm/profile.ts";
import { startRouter } from "../llm/router.ts";
import { routerMemory, type RouterMemory } from "../llm/router_memory.ts";
import { canBePreset } from "../llm/router_presets.ts";
import { withShortSteps } from "../llm/step_batch.ts";
import { installedModels, type InstalledModel } from "../llm/store.ts";
import type { Notifier } from "../machine/notify.ts";
import type { Probe } from "../machine/probe.ts";
import { chosen } from "../orchestra/engine_of.ts";
import type { CallContext } from "../unit.ts";
import { ensureKey } from "./key.ts";
import { engineFolder, GIVEN_UP, inServices } from "./places.ts";

/** Name of the lock that the engine's service holds while it runs. */
const LOCK = "engine";

/** Which installed builds to run: `build`, or `before` where that one was given up. None: the home's live one, for a person who tries it. */
export interface EngineChoice {
  readonly build?: string | undefined;
  readonly before?: string | undefined;
}

/** What is served, and how. */
export interface EnginePlan {
  readonly served: readonly { readonly model: InstalledModel; readonly profile: Profile }[];
  readonly memory: RouterMemory;
  /** The model that is loaded at once. */
  readonly first: InstalledModel;
}

/**
 * Serves until `context.signal` fires or the engine ends.
 * @throws ShelterError "no-engine", "no-model", "locked", what `startRouter` throws, and "engine-died" where it ends by itself.
 */
export async function runEngine(
  context: CallContext,
  notifier: Notifier,
  choice: EngineChoice,
): Promise<void> {
  const { probe, act, say } = context;
  const build = chosenBuild(probe, choice);
  const plan = await planEngine(probe, build);
  const port = await enginePort(context);
  const lock = await takeLock(probe, act, LOCK, { script: "08_shelter_cli" });
  if ("busy" in lock) {
    const why = `process ${lock.busy.pid} serves already, since ${lock.busy.since}`;
    throw new ShelterError("locked", "starting the engine", why, [
      "systemctl",
      "status",
      "shelter-engine",
    ]);
  }
  try {
    ensureKey(context, inServices.engineKey(probe.home));
    sayGovernor(context);
    notifier.status(`loading ${plan.first.name}`);
    await withGovernor(context, async () => {
      const server = await startRouter(context, {
        build,
        presets: plan.served.map(({ model, profile }) => ({
          name: model.name,
          path: act.real(model.path),
          profile,
        })),
        first: plan.first.name,
        bytes: plan.first.bytes,
        most: plan.memory.models,
        promptCache: plan.memory.promptCache,
        port,
        keyFile: inServices.engineKey(probe.home),
        presetsFile: inServices.presets(probe.home),
        onLine: (line) => say.line(line),
      });
      const names = plan.served.map(({ model }) => model.name).join(", ");
      say.line(`Serving ${names} on port ${port} with ${build.id}`);
      notifier.ready(`serving ${names} with ${build.id}`);
      await untilOver(context.signal, server);
      notifier.stopping();
      await server.stop();
    });
  } finally {
    await lock.release();
  }
}

/** The port that it listens on. Where shared.cfg can't be used it is the one that the gateway's last good document asks it at. @throws what is wrong with shared.cfg where there is none */
export async function enginePort({ probe, say }: Pick<CallContext, "probe" | "say">) {
  try {
    return (await readConfig(probe)).ports.engine;
  } catch (error) {
    const port = portAsked(probe);
    if (port === undefined || !(error instanceof ShelterError)) throw error;
    say.line(`The port stays ${port}: ${error.what}: ${error.why}`);
    return port;
  }
}

function portAsked(probe: Probe): number | undefined {
  try {
    const { engines } = readDocument(probe, inHome.gateway(probe.home));
    const local = engines.find((one) => one.kind === "local");
    return local && (Number(new URL(local.url).port) || undefined);
  } catch {
    return undefined; // there is none, or none that is good
  }
}

/** What this host's engine serves on a build. @throws ShelterError "no-model" */
export async function planEngine(probe: Probe, build: ServingBuild): Promise<EnginePlan> {
  const installed = (await installedModels(probe)).filter((model) => canBePreset(model));
  const { results } = readResults(probe);
  const served = installed.map((model) => {
    const speed = promptSpeed(
      results.map(({ result }) => result),
      model.sha256,
      build.id,
    );
    return {
      model,
      profile: withShortSteps(servedProfile(probe, model, build), speed, model.head),
    };
  });
  const first = chosen(installed, undefined);
  const total = parseMeminfo(probe.text("/proc/meminfo") ?? "")?.total ?? 0;
  return { served, first, memory: routerMemory(served, total) };
}

/** Tokens of a prompt per second, by the newest measurement of a model on a build; undefined where there is none. Pure. */
export function promptSpeed(
  results: readonly BenchResult[],
  sha256: string,
  build: string,
): number | undefined {
  const last = results.findLast((one) => one.model.sha256 === sha256 && one.build === build);
  const single = last?.served.find(({ concurrent }) => concurrent === 1);
  return single?.prompt.median ?? last?.bench.prompt.median;
}

/** The installed build that a unit names, or the one before where it was given up. @throws ShelterError "no-engine" */
export function chosenBuild(probe: Probe, { build, before }: EngineChoice): ServingBuild {
  if (build === undefined) {
    const live = liveBuild(probe);
    if (live) return live;
    throw new ShelterError("no-engine", "starting the engine", "no engine is live yet", [
      "./bin/03_build_llama_cpp",
    ]);
  }
  const givenUp = probe.text(GIVEN_UP)?.trim() === build;
  const id = givenUp && before !== undefined ? before : build;
  const folder = engineFolder(id);
  const info = parseBuildInfo(json(probe.text(join(folder, "build-info.json")) ?? ""));
  if (info?.id !== id) {
    throw new ShelterError("no-engine", `starting the engine ${id}`, `${folder} holds no build`, [
      "sudo",
      "./bin/shelter",
      "next",
    ]);
  }
  return { id, folder, info, program: (name) => join(folder, "bin", name) };
}

/** The governor is the unit's part, as root; run by a person it stays as it is, and that is said. */
function sayGovernor({ probe, say }: CallContext): void {
  if (probe.me.root) return;
  const [change] = governorChanges(readPolicies(probe));
  if (change) {
    say.line(`The processor's governor stays at ${change.was}: only root may set it`);
  }
}

async function untilOver(signal: AbortSignal, server: Launched): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const how = await Promise.race([server.ended, stopped]);
  if (!how) return;
  throw new ShelterError(
    "engine-died",
    "serving",
    `the engine ended with ${how.signal ?? `code ${how.code}`}`,
    ["journalctl", "-u", "shelter-engine", "-n", "50"],
  );
}
