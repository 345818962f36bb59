/** Giving a release up for the one before: root's act, the script that takes it up again, and the way back. */
import { chmodSync } from "node:fs";
import { afterEach, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { liveProgram, readLive } from "../../lib/services/live.ts";
import { BEFORE, CURRENT, LIVE, releaseProgram, TOP } from "../../lib/services/places.ts";
import { actAsRoot } from "../../lib/services/root_acts.ts";
import type { RunReport } from "../../lib/unit.ts";
import { unit as phantom } from "../../scripts/06_phantom_watchdog.ts";
import { steadily } from "../support/bench_world.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";
import { type KnownUnit, systemctl } from "../support/fake_systemd.ts";
import { runOn } from "../support/run.ts";
import {
  OLDER_RELEASES,
  RELEASE,
  servicesMachine,
  type ServicesWorld,
} from "../support/services_world.ts";

const [OLD, OLDER] = OLDER_RELEASES;
const RUNS = { loaded: "[Service]\nExecStart=/the/older/one\n", enabled: true, active: true };
const SERVE = { "shelter-gateway.service": RUNS, "shelter-watch.service": RUNS };

const made: FakeWorld[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.dispose();
});
/** `refused` are command lines of systemctl that fail. */
function worldOf(setting: ServicesWorld = {}, refused: string[] = []): FakeWorld {
  const options = servicesMachine(setting);
  const world = fakeMachine({
    ...options,
    programs: {
      ...options.programs,
      systemctl: (argv, ...rest) =>
        refused.includes(argv.slice(1).join(" "))
          ? { code: 1, stderr: "it did not get ready" }
          : systemctl(argv, ...rest),
    },
  });
  made.push(world);
  return world;
}
const hands = (world: FakeWorld) => {
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  return { probe, act: createAct(world.machine, probe) };
};
const goBack = (world: FakeWorld) => actAsRoot(hands(world), "previous-release");
const live = (world: FakeWorld) => readLive(hands(world).probe);
const links = (world: FakeWorld) => world.picture(TOP).filter((line) => line.includes("link"));
type Mode = "apply" | "verify" | "undo";
const run = (world: FakeWorld, mode: Mode = "apply"): Promise<RunReport> =>
  runOn(world, steadily(phantom), { mode });
const askedSince = (world: FakeWorld, from: number) =>
  world.started.slice(from).map((argv) => argv.slice(1).join(" "));

/** A host on which a newer release was installed over a proven one. */
async function upgraded(refused: string[] = []): Promise<FakeWorld> {
  const world = worldOf({ releases: [OLD, OLDER], before: OLDER, units: SERVE }, refused);
  expect((await run(world)).outcome).toBe("changed");
  return world;
}

describe("installing over a release", () => {
  test("that serves keeps it as the one to go back to, and nothing older", async () => {
    const world = worldOf({ releases: [OLD, OLDER], before: OLDER, units: SERVE });
    const all = world.picture("/", (path) => path.startsWith(FAKE_HOME));
    expect((await run(world)).outcome).toBe("changed");
    expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLD });
    expect([OLD, OLDER].map((one) => world.exists(releaseProgram(one)))).toEqual([true, false]);
    expect(world.exists(`${LIVE}/${OLDER}`)).toBe(false);
    expect(world.exists(liveProgram(RELEASE))).toBe(true);
    expect((await run(world, "undo")).outcome).toBe("changed");
    expect(world.picture("/", (path) => path.startsWith(FAKE_HOME))).toEqual(all);
  });

  test("that does not serve, or is not what was built, keeps the one that was proven before it", async () => {
    const idle = { ...SERVE, "shelter-gateway.service": { ...RUNS, active: false } };
    const cut: Readonly<Record<string, FakeFile>> = {
      [releaseProgram(OLD)]: { text: "cut", mode: 0o755 },
    };
    for (const world of [{ units: idle }, { units: SERVE, files: cut }]) {
      const one = worldOf({ releases: [OLD, OLDER], before: OLDER, ...world });
      expect((await run(one)).outcome).toBe("changed");
      expect(live(one)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLDER });
      expect(one.exists(releaseProgram(OLD))).toBe(false);
    }
  });

  test("that dies again and again keeps the one that was proven before it, and takes its place only where there is no such one", async () => {
    const [young, well] = [
      { ...RUNS, ranFor: 20 },
      { ...RUNS, ranFor: 600 },
    ];
    const units = (gateway: KnownUnit, watch: KnownUnit) => ({
      "shelter-gateway.service": gateway,
      "shelter-watch.service": watch,
    });
    const cut = { [releaseProgram(OLDER)]: { text: "cut", mode: 0o755 } };
    const cases: readonly (readonly [ServicesWorld, string])[] = [
      [{ before: OLDER, units: units(young, young) }, OLDER],
      [{ before: OLDER, units: units(young, well) }, OLDER],
      [{ before: OLDER, units: units(well, young) }, OLDER],
      [{ before: OLDER, units: units(well, well) }, OLD],
      [{ units: units(young, young) }, OLD],
      [{ before: OLDER, units: units(young, young), files: cut }, OLD],
    ];
    for (const [setting, before] of cases) {
      const world = worldOf({ releases: [OLD, OLDER], ...setting });
      expect((await run(world)).outcome).toBe("changed");
      expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE, before });
      const kept = [OLD, OLDER].filter((one) => world.exists(releaseProgram(one)));
      expect(kept).toEqual([before]);
      expect((await run(world)).outcome).toBe("converged");
    }
    // the wanted one is no way back from itself
    const back = worldOf({
      releases: [OLD, RELEASE],
      before: RELEASE,
      units: units(young, young),
    });
    await run(back);
    expect(live(back)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLD });
  });

  test("finds no way back in a link to a release that is gone, nor in one to itself", async () => {
    const idle = { ...SERVE, "shelter-gateway.service": { ...RUNS, active: false } };
    for (const setting of [
      { releases: [OLD], before: OLDER },
      { releases: [OLD, RELEASE], before: RELEASE },
    ]) {
      const world = worldOf({ ...setting, units: idle });
      expect((await run(world)).outcome).toBe("changed");
      expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE });
      expect(world.exists(BEFORE)).toBe(false);
      expect((await run(world)).outcome).toBe("converged");
    }
  });

  test("of the form before finds what it needs", async () => {
    const world = worldOf({ releases: [OLD], plainLink: true, units: SERVE });
    expect(live(world)).toEqual({ installed: OLD, serving: OLD });
    await run(world);
    expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLD });
    await run(world, "undo");
    expect(live(world)).toEqual({ installed: OLD, serving: OLD });
  });
});

describe("root's act", () => {
  test("has the release before serve, and starts gateway and watcher from it, not the engine", async () => {
    const world = await upgraded();
    const from = world.started.length;
    await goBack(world);
    expect(live(world)).toEqual({ installed: RELEASE, serving: OLD, before: OLD });
    const { probe } = hands(world);
    expect(probe.real(liveProgram(RELEASE))).toBe(probe.real(releaseProgram(OLD)));
    expect(probe.real(`${CURRENT}/shelter`)).toBe(probe.real(releaseProgram(OLD)));
    expect(askedSince(world, from)).toEqual([
      "reset-failed shelter-gateway.service",
      "restart --no-block shelter-gateway.service",
      "reset-failed shelter-watch.service",
      "restart --no-block shelter-watch.service",
    ]);
  });

  test("is refused before anything happens where there is none, where it serves, and where it is not what was installed", async () => {
    const whole = { releases: [RELEASE, OLD], before: OLD };
    const OPEN = { files: {} };
    const files = (text: string, mode: number) => ({
      files: { [releaseProgram(OLD)]: { text, mode } },
    });
    const cases: readonly (readonly [ServicesWorld, string])[] = [
      [{}, "no-release-before"],
      [{ releases: [RELEASE] }, "no-release-before"],
      [{ releases: [RELEASE, OLD] }, "no-release-before"],
      [{ releases: [RELEASE], before: RELEASE }, "no-release-before"],
      [{ releases: [RELEASE, OLD], before: `../${OLD}` }, "no-release-before"],
      [{ ...whole, plainLink: true, before: "/home/op/evil" }, "no-release-before"],
      [{ ...whole, serving: OLD }, "already-back"],
      [{ releases: [RELEASE], before: OLD }, "release-differs"],
      [{ ...whole, ...files("something else", 0o755) }, "release-differs"],
      [{ ...whole, ...files("an older program", 0o777) }, "release-differs"],
      [{ ...whole, ...OPEN }, "release-differs"],
    ];
    for (const [setting, id] of cases) {
      const world = worldOf(setting);
      if (setting.files === OPEN.files) chmodSync(world.path(TOP), 0o777);
      const before = world.picture("/");
      await expect(goBack(world)).rejects.toMatchObject({ id });
      expect([world.picture("/"), world.started]).toEqual([before, []]);
    }
  });

  test("not again within five seconds of a restart of the gateway", async () => {
    const world = await upgraded();
    world.write("/proc/uptime", "1000.00 1.00\n");
    await actAsRoot(hands(world), "restart-gateway");
    const before = links(world);
    await expect(goBack(world)).rejects.toMatchObject({ id: "too-soon" });
    expect(links(world)).toEqual(before);
    world.write("/proc/uptime", "1005.00 1.00\n");
    await goBack(world);
  });

  test("whatever the links say, it is refused or leads to a whole release that was named as the one before", async () => {
    const name = fc.constantFrom(RELEASE, ...OLDER_RELEASES, "..", "/home/op", "engine", "");
    const target = fc
      .tuple(fc.constantFrom("", "live/", "../", "../../"), name)
      .map((two) => two.join(""));
    await fc.assert(
      fc.asyncProperty(
        fc.record({ current: target, before: target, serves: target }),
        fc.subarray([RELEASE, ...OLDER_RELEASES]),
        fc.constantFrom(undefined, ...OLDER_RELEASES),
        async (to, releases, damaged) => {
          const files = Object.fromEntries(
            [
              [CURRENT, to.current],
              [BEFORE, to.before],
              [`${LIVE}/${RELEASE}`, to.serves],
            ].flatMap(([path = "", link = ""]) => (link === "" ? [] : [[path, { link }]])),
          );
          const cut = damaged === undefined ? {} : { [releaseProgram(damaged)]: "cut" };
          const world = worldOf({ releases, units: SERVE, files: { ...files, ...cut } });
          const before = world.picture(TOP);
          const kept = live(world);
          const ended = await goBack(world).then(
            () => "done",
            () => "refused",
          );
          if (ended === "refused") {
            expect([world.picture(TOP), world.started]).toEqual([before, []]);
            return;
          }
          const { probe } = hands(world);
          const { installed, serving } = live(world);
          expect([installed, serving]).toEqual([kept.installed, kept.before]);
          expect(releases).toContain(serving as string);
          expect(serving).not.toBe(damaged);
          const left = (lines: readonly string[]) =>
            lines.filter((line) => !line.startsWith(`${LIVE}/${installed} `));
          expect(left(world.picture(TOP))).toEqual(left(before));
          expect(probe.real(liveProgram(installed ?? ""))).toBe(
            probe.real(releaseProgram(serving ?? "")),
          );
        },
      ),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe("a release that was given up", () => {
  test("is said, with who serves and the command that takes it up again", async () => {
    const world = await upgraded();
    expect((await run(world, "verify")).findings.map(({ id }) => id)).toEqual(["services-run"]);
    await goBack(world);
    const { outcome, findings } = await run(world, "verify");
    expect(outcome).toBe("planned");
    expect(findings.map(({ id }) => id)).toEqual(["services-run", "release-given-up"]);
    expect(findings[0]?.what).toContain(`run from release ${OLD} `);
    expect(findings[1]).toMatchObject({
      level: "warn",
      what: `the services went back from release ${RELEASE} to ${OLD}, the one before`,
      fix: ["sudo", "./bin/06_phantom_watchdog"],
    });
  });

  test("is taken up again also where another unit is written anew: what runs is started from it", async () => {
    const world = await upgraded();
    await goBack(world);
    world.write("/etc/systemd/system/shelter-watch.service", "[Service]\nExecStart=/changed\n");
    const from = world.started.length;
    expect((await run(world)).outcome).toBe("changed");
    expect(live(world)).toMatchObject({ serving: RELEASE });
    expect(askedSince(world, from)).toContain("try-restart -- shelter-gateway.service");
  });

  test("is taken up again by the script, and its undo gives it up again", async () => {
    const world = await upgraded();
    await goBack(world);
    const from = world.started.length;
    expect((await run(world)).outcome).toBe("changed");
    expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLD });
    const restarts = askedSince(world, from).filter((one) => one.includes("restart"));
    expect(restarts).toEqual([
      "try-restart -- shelter-gateway.service",
      "try-restart -- shelter-watch.service",
      "try-restart --no-block -- shelter-engine.service",
    ]);
    expect((await run(world)).outcome).toBe("converged");
    expect((await run(world, "undo")).outcome).toBe("changed");
    expect(live(world)).toEqual({ installed: RELEASE, serving: OLD, before: OLD });
  });

  test("that still can't serve stays given up, and the run says why", async () => {
    const refused: string[] = [];
    const world = await upgraded(refused);
    await goBack(world);
    refused.push("try-restart -- shelter-gateway.service");
    const from = links(world);
    const report = await run(world);
    expect(report.error).toMatchObject({ id: "systemctl-failed", why: "it did not get ready" });
    expect(links(world)).toEqual(from);
  });

  test("leaves no trace when the run that installed it is taken back", async () => {
    const world = worldOf({ releases: [OLD, OLDER], before: OLDER, units: SERVE });
    const all = world.picture("/", (path) => path.startsWith(FAKE_HOME));
    await run(world);
    await goBack(world);
    const { outcome, error } = await run(world, "undo");
    expect({ outcome, error }).toEqual({ outcome: "changed", error: undefined });
    const noted = (path: string) => path.startsWith(FAKE_HOME) || path.endsWith("restarted.json");
    expect(world.picture("/", noted)).toEqual(all);
  });

  test("is passed over by a newer one, which keeps what serves as the one before", async () => {
    const world = worldOf({
      releases: [OLDER, OLD],
      serving: OLD,
      before: OLD,
      units: SERVE,
    });
    await run(world);
    expect(live(world)).toEqual({ installed: RELEASE, serving: RELEASE, before: OLD });
    expect([OLD, OLDER].map((one) => world.exists(releaseProgram(one)))).toEqual([true, false]);
  });
});
