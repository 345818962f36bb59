/** What the service units say, and refuse, of the worlds in which they can't be installed or are not what they should be. */
import { afterEach, describe, expect, test } from "bun:test";
import { createProbe } from "../../lib/machine/probe.ts";
import type { ServicesFacts } from "../../lib/services/facts.ts";
import { unaskedServices } from "../../lib/services/unasked.ts";
import { buildsOfUnit } from "../../lib/services/root_acts.ts";
import { liveProgram } from "../../lib/services/live.ts";
import {
  engineFolder,
  GIVEN_UP,
  inServices,
  releaseProgram,
  TOP,
} from "../../lib/services/places.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit as phantom } from "../../scripts/06_phantom_watchdog.ts";
import { unit as shadow } from "../../scripts/06_shadow_control.ts";
import { steadily } from "../support/bench_world.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { knownUnits } from "../support/fake_systemd.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { runOn } from "../support/run.ts";
import {
  BUILD_A,
  BUILD_B,
  RELEASE,
  servicesMachine,
  type ServicesWorld,
} from "../support/services_world.ts";

const made: FakeWorld[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.dispose();
});
function worldOf(setting: ServicesWorld = {}): FakeWorld {
  const world = fakeMachine(servicesMachine(setting));
  made.push(world);
  return world;
}
type Mode = "apply" | "plan" | "verify" | "undo";
const run = (world: FakeWorld, mode: Mode = "apply", unit = phantom): Promise<RunReport> =>
  runOn(world, steadily(unit), { mode });
const failsOf = (report: RunReport) =>
  report.findings.filter((one) => one.level === "fail").map((one) => one.id);
const unitText = (world: FakeWorld, name: string) => world.read(`/etc/systemd/system/${name}`);

describe("installed", () => {
  test("all four units run, from a release that only root can change", async () => {
    const world = worldOf({ builds: [BUILD_A, BUILD_B] });
    expect((await run(world)).outcome).toBe("changed");
    expect(
      Object.entries(knownUnits(world)).map(([name, { enabled, active }]) => [
        name,
        enabled,
        active,
      ]),
    ).toEqual(
      [
        "shelter-act@.service",
        "shelter-act.socket",
        "shelter-engine.service",
        "shelter-gateway.service",
        "shelter-watch.service",
      ].map((name) => [name, !name.includes("@"), !name.includes("@")]),
    );
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    for (const path of [
      releaseProgram(RELEASE),
      engineFolder(BUILD_A, "bin/llama-server"),
      engineFolder(BUILD_B, "bin/llama-server"),
    ]) {
      expect([path, probe.stat(path)?.mode, probe.stat(path)?.uid]).toEqual([
        path,
        0o755,
        process.getuid?.(),
      ]);
    }
    for (const folder of [TOP, `${TOP}/${RELEASE}`, engineFolder(BUILD_A, "bin")]) {
      expect([folder, probe.stat(folder)?.mode]).toEqual([folder, 0o755]);
    }
    // what only measures and converts is no part of a service
    expect(world.exists(engineFolder(BUILD_A, "bin/llama-bench"))).toBe(false);
    expect(probe.real(`${TOP}/current/shelter`)).toBe(probe.real(releaseProgram(RELEASE)));
    const engine = unitText(world, "shelter-engine.service");
    expect(engine).toContain(
      `ExecStart=${liveProgram(RELEASE)} engine run --build ${BUILD_A} --before ${BUILD_B}\n`,
    );
    expect(buildsOfUnit(engine)).toEqual({ build: BUILD_A, before: BUILD_B });
  });

  test("no unit takes another one with it, and none can storm", async () => {
    const world = worldOf();
    await run(world);
    for (const name of [
      "shelter-engine.service",
      "shelter-gateway.service",
      "shelter-watch.service",
    ]) {
      const text = unitText(world, name);
      expect(text).not.toMatch(
        /^(Requires|Requisite|BindsTo|PartOf|Upholds|Conflicts|PropagatesStopTo)=/m,
      );
      expect(text).toMatch(/^StartLimitIntervalSec=10min$/m);
      expect(text).toMatch(/^StartLimitBurst=\d+$/m);
      // a stray SIGTERM is no wish to stop
      expect(text).toMatch(/^Restart=always$/m);
      expect(text).toMatch(/^User=op$/m);
      for (const variable of ["BUN_OPTIONS", "BUN_BE_BUN", "NODE_OPTIONS", "LD_PRELOAD"]) {
        expect(text).toMatch(new RegExp(`^UnsetEnvironment=.*\\b${variable}\\b`, "m"));
      }
      expect(text).not.toContain("MemoryDenyWriteExecute");
      expect(text).not.toContain("LimitAS");
      expect(text).toMatch(/^MemoryMax=\d+M$/m);
    }
    for (const name of ["shelter-gateway.service", "shelter-watch.service"]) {
      expect(unitText(world, name)).toMatch(/^WatchdogSec=\d+$/m);
    }
    expect(unitText(world, "shelter-watch.service")).toContain("06_phantom_watchdog run\n");
  });

  test("root sets the governor before the engine, and puts it back however the engine ends", async () => {
    const world = worldOf();
    await run(world);
    const text = unitText(world, "shelter-engine.service");
    const program = liveProgram(RELEASE);
    expect(text).toContain(`\nExecStartPre=-+${program} act governor-performance\n`);
    expect(text).toContain(`\nExecStopPost=-+${program} act governor-back\n`);
  });

  test("each program is shut off from what it does not need", async () => {
    const world = worldOf();
    await run(world);
    for (const name of Object.keys(knownUnits(world)).filter((one) => one.endsWith(".service"))) {
      const lines = unitText(world, name).split("\n");
      for (const line of [
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "ProtectKernelModules=yes",
        "RestrictNamespaces=yes",
        "SystemCallArchitectures=native",
      ]) {
        expect([name, lines.includes(line) ? line : undefined]).toEqual([name, line]);
      }
      expect(lines.filter((line) => line.startsWith("RestrictAddressFamilies="))).toHaveLength(1);
      expect(lines.filter((line) => line.startsWith("ProtectHome="))).toHaveLength(1);
    }
    // peers' keys are the gateway's alone
    const hidden = `InaccessiblePaths="-${FAKE_HOME}/runtime/identity"`;
    expect(unitText(world, "shelter-engine.service")).toContain(hidden);
    // root's acts see no home, no device and no network
    const act = unitText(world, "shelter-act@.service").split("\n");
    for (const line of ["ProtectHome=yes", "PrivateDevices=yes", "PrivateNetwork=yes"]) {
      expect(act).toContain(line);
    }
  });

  test("a program that changes while it is copied is not installed, and nothing stays", async () => {
    const world = worldOf();
    const { observe } = steadily(phantom);
    const changing = {
      ...steadily(phantom),
      observe: async (...of: Parameters<typeof observe>) => {
        const facts: unknown = await observe(...of);
        world.write(`${FAKE_HOME}/bin/shelter`, { text: "another program", mode: 0o755 });
        return facts;
      },
    };
    const report = await runOn(world, changing, { mode: "apply" });
    expect([report.outcome, report.error?.id]).toEqual(["corrupt", "changed-meanwhile"]);
    expect(world.exists(TOP)).toBe(false);
  });

  test("no file of a unit holds a key", async () => {
    const world = worldOf({ files: { [inServices.gatewayKey(FAKE_HOME)]: "a-secret-key\n" } });
    await run(world);
    for (const name of Object.keys(knownUnits(world))) {
      expect(unitText(world, name)).not.toContain("a-secret-key");
    }
  });

  test("a build that was given up is said until a newer one is live", async () => {
    const world = worldOf({ builds: [BUILD_A, BUILD_B] });
    await run(world);
    const found = async () => (await run(world, "verify")).findings;
    const ids = async () => (await found()).map((one) => one.id);
    expect(await ids()).toEqual(["services-run"]);
    world.write(GIVEN_UP, `${BUILD_A}\n`);
    expect(await ids()).toEqual(["services-run", "engine-given-up"]);
    expect((await found()).at(-1)?.fix).toEqual(["sudo", "./bin/06_phantom_watchdog"]);
    world.write(GIVEN_UP, "b-000000000000\n");
    expect(await ids()).toEqual(["services-run"]);
  });

  test("a build that was given up is taken up again, and the engine starts from it", async () => {
    const world = worldOf({ builds: [BUILD_A, BUILD_B] });
    await run(world);
    world.write(GIVEN_UP, `${BUILD_A}\n`);
    const before = world.started.length;
    expect((await run(world)).outcome).toBe("changed");
    expect(world.exists(GIVEN_UP)).toBe(false);
    const asked = () => world.started.slice(before).map((argv) => argv.join(" "));
    expect(asked()).toContain("systemctl try-restart --no-block -- shelter-engine.service");
    expect((await run(world)).outcome).toBe("converged");
    expect((await run(world, "undo")).outcome).toBe("changed");
    expect(world.read(GIVEN_UP)).toBe(`${BUILD_A}\n`);
    expect(asked().filter((one) => one.includes("try-restart"))).toHaveLength(2);
  });
});

describe("taken back", () => {
  test("nothing of the services is left, also not what they made for themselves", async () => {
    const world = worldOf();
    await run(world);
    world.write(inServices.engineKey(FAKE_HOME), "k\n");
    world.write(inServices.presets(FAKE_HOME), "version = 1\n");
    world.write(
      `${FAKE_HOME}/runtime/gateway.json`,
      JSON.stringify({ schema: 1, written_by: "shelter gateway run" }),
    );
    world.write(GIVEN_UP, `${BUILD_A}\n`);
    const undone = await run(world, "undo");
    expect({ outcome: undone.outcome, error: undone.error }).toEqual({
      outcome: "changed",
      error: undefined,
    });
    expect(knownUnits(world)).toEqual({});
    for (const path of [TOP, inServices.folder(FAKE_HOME), `${FAKE_HOME}/runtime/gateway.json`]) {
      expect([path, world.exists(path)]).toEqual([path, false]);
    }
  });

  test("a gateway's document of the operator's own stays", async () => {
    const own = '{"schema":1,"host":"mine"}';
    const world = worldOf({ files: { [`${FAKE_HOME}/runtime/gateway.json`]: own } });
    await run(world);
    await run(world, "undo");
    expect(world.read(`${FAKE_HOME}/runtime/gateway.json`)).toBe(own);
  });
});

describe("refused", () => {
  const blocked = async (setting: ServicesWorld, unit = phantom) => {
    const world = worldOf(setting);
    const all = world.picture("/", (path) => path.startsWith(FAKE_HOME));
    const report = await run(world, "apply", unit);
    expect(world.picture("/", (path) => path.startsWith(FAKE_HOME))).toEqual(all);
    return { outcome: report.outcome, fails: failsOf(report), fix: report.error?.fix };
  };

  test("the other kind's script, with the right command", async () => {
    expect(await blocked({ role: "shadow" })).toEqual({
      outcome: "blocked",
      fails: ["other-hosts-script"],
      fix: ["sudo", "./bin/06_shadow_control"],
    });
    expect(await blocked({}, shadow)).toEqual({
      outcome: "blocked",
      fails: ["other-hosts-script"],
      fix: ["sudo", "./bin/06_phantom_watchdog"],
    });
  });

  test("a host without an engine, a model, a program or systemd", async () => {
    const gone = (path: string) => ({ files: { [path]: { link: "/nowhere" } } });
    expect((await blocked({ builds: [] })).fails).toEqual(["no-engine"]);
    expect((await blocked({ models: [] })).fails).toEqual(["no-model"]);
    expect((await blocked(gone(`${FAKE_HOME}/bin/shelter`))).fails).toEqual(["no-program"]);
    expect((await blocked(gone("/run/systemd/system"))).fails).toEqual(["no-systemd"]);
  });

  test("an engine that is not what was built", async () => {
    const server = `${FAKE_HOME}/runtime/llama.cpp/${BUILD_A}/bin/llama-server`;
    expect(await blocked({ files: { [server]: "something else" } })).toMatchObject({
      outcome: "corrupt",
      fails: ["engine-damaged"],
    });
  });

  test("a folder for root's programs that others can write in", async () => {
    const open = { [TOP]: { folder: true, mode: 0o777 } } as const;
    expect((await blocked({ files: open })).fails).toEqual(["top-writable"]);
  });

  testUnless(needsRoot)("a home that belongs to root", async () => {
    expect((await blocked({ ownerUid: 0 })).fails).toEqual(["home-of-root"]);
  });
});

describe("what nobody asked about", () => {
  test("a lone host, a lone build and a guessed speed are said, and vanish one by one", async () => {
    const world = worldOf();
    const probe = createProbe(world.machine, FAKE_HOME, "testhost");
    const facts = (await steadily(phantom).observe(probe, {})) as ServicesFacts;
    const ids = (change: Partial<ServicesFacts>) =>
      unaskedServices({ ...facts, ...change }).map((one) => one.id);
    expect(ids({})).toEqual(["no-one-to-fall-to", "no-build-before", "steps-guessed"]);
    expect(ids({ peers: ["shadow"] })).not.toContain("no-one-to-fall-to");
    expect(ids({ engines: [...facts.engines, ...facts.engines] })).not.toContain("no-build-before");
    expect(ids({ measured: true })).not.toContain("steps-guessed");
    // what is missing altogether is said by the findings
    const { program: _, ...without } = facts;
    expect(unaskedServices(without)).toEqual([]);
  });
});
