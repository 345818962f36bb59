/** Root's acts on a fake host: each does what its word says, and nothing else; what it set is put back. */
import { afterEach, describe, expect, test } from "bun:test";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { GIVEN_UP, GOVERNOR_BEFORE, RESTARTED, TOP } from "../../lib/services/places.ts";
import { actAsRoot } from "../../lib/services/root_acts.ts";
import { VERBS, type Verb } from "../../lib/services/verbs.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeFile,
  type FakeProgram,
  type FakeWorld,
} from "../support/fake_machine.ts";
import { OLDER_RELEASES, RELEASE, servicesMachine } from "../support/services_world.ts";

const CPU = "/sys/devices/system/cpu/cpufreq";
const policy = (
  n: number,
  now: string,
  all = "performance powersave",
): Readonly<Record<string, FakeFile>> => ({
  [`${CPU}/policy${n}/scaling_governor`]: `${now}\n`,
  [`${CPU}/policy${n}/scaling_available_governors`]: `${all}\n`,
});
const governors = (world: FakeWorld) =>
  [0, 1].map((n) => world.read(`${CPU}/policy${n}/scaling_governor`).trim());
const UNIT = (words: string) => ({
  "/etc/systemd/system/shelter-engine.service": `[Service]\nExecStartPre=-+/x act governor-performance --build b-ffffffffffff\nExecStart=/x engine run ${words}\n`,
});

/** A release, installed over an earlier one. */
const installedOver = (before: string) =>
  Object.fromEntries(
    Object.entries(servicesMachine({ releases: [RELEASE, before], before }).files ?? {}).filter(
      ([path]) => path.startsWith(`${TOP}/`),
    ),
  );

const made: FakeWorld[] = [];
afterEach(() => {
  for (const one of made.splice(0)) one.dispose();
});
function root(files: Readonly<Record<string, FakeFile>>, systemctl: FakeProgram = () => ({})) {
  const world = fakeMachine({
    files: { "/run": { folder: true }, ...files },
    programs: { systemctl },
    me: { root: true },
  });
  made.push(world);
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const act = createAct(world.machine, probe);
  return { world, act: (verb: Verb) => actAsRoot({ probe, act }, verb) };
}
const asked = (world: FakeWorld) => world.started.map((argv) => argv.join(" "));

describe("the services", () => {
  test("are restarted from a count of zero, without waiting", async () => {
    for (const [verb, unit] of [
      ["restart-engine", "shelter-engine.service"],
      ["restart-gateway", "shelter-gateway.service"],
    ] as const) {
      const { world, act } = root({});
      await act(verb);
      expect(asked(world)).toEqual([
        `systemctl reset-failed ${unit}`,
        `systemctl restart --no-block ${unit}`,
      ]);
    }
  });

  test("not again within five seconds, whoever asks; another one may be", async () => {
    const { world, act } = root({
      ...UNIT("--build b-aaaaaaaaaaaa --before b-bbbbbbbbbbbb"),
      "/usr/local/lib/mountain-shelter/engine": { folder: true },
      "/proc/uptime": "1000.00 1.00\n",
    });
    await act("restart-engine");
    await act("restart-gateway");
    const done = asked(world).length;
    world.write("/proc/uptime", "1004.99 1.00\n");
    for (const verb of ["restart-engine", "restart-gateway", "previous-engine"] as const) {
      await expect(act(verb)).rejects.toMatchObject({ id: "too-soon" });
    }
    expect([asked(world).length, world.exists(GIVEN_UP)]).toEqual([done, false]);
    await act("stop-engine");
    world.write("/proc/uptime", "1005.00 1.00\n");
    await act("previous-engine");
    await expect(act("restart-engine")).rejects.toMatchObject({ id: "too-soon" });
    await act("restart-gateway");
  });

  test("a restart that failed counts, and a record that is none does not hold one up", async () => {
    const broken = root({}, () => ({ code: 1, stderr: "Access denied\n" }));
    await expect(broken.act("restart-engine")).rejects.toMatchObject({ id: "systemctl-failed" });
    await expect(broken.act("restart-engine")).rejects.toMatchObject({ id: "too-soon" });
    for (const record of ["", "{", "[]", '{"shelter-engine.service":"soon"}']) {
      const { world, act } = root({ [RESTARTED]: record, "/proc/uptime": "3.00 1.00\n" });
      await act("restart-engine");
      expect(world.started).toHaveLength(2);
    }
  });

  test("the engine alone can be stopped", async () => {
    const { world, act } = root({});
    await act("stop-engine");
    expect(asked(world)).toEqual(["systemctl stop --no-block shelter-engine.service"]);
  });

  test("what systemd refuses is said with its words", async () => {
    const { act } = root({}, () => ({ code: 1, stderr: "Access denied\n" }));
    for (const verb of ["restart-engine", "restart-gateway", "stop-engine"] as const) {
      await expect(act(verb)).rejects.toMatchObject({
        id: "systemctl-failed",
        why: "Access denied",
      });
    }
  });
});

describe("going back to the earlier build", () => {
  test("notes which build was given up, and restarts", async () => {
    const { world, act } = root({
      ...UNIT("--build b-aaaaaaaaaaaa --before b-bbbbbbbbbbbb"),
      "/usr/local/lib/mountain-shelter/engine": { folder: true },
    });
    await act("previous-engine");
    expect(world.read(GIVEN_UP)).toBe("b-aaaaaaaaaaaa\n");
    expect(asked(world).at(-1)).toBe("systemctl restart --no-block shelter-engine.service");
  });

  test("without one, or with a unit that is not ours, is refused before anything happens", async () => {
    for (const words of [
      "--build b-aaaaaaaaaaaa",
      "--before b-bbbbbbbbbbbb",
      "--build ../x --before b-bbbbbbbbbbbb",
      "",
    ]) {
      const { world, act } = root(UNIT(words));
      await expect(act("previous-engine")).rejects.toMatchObject({ id: "no-build-before" });
      expect([asked(world), world.exists(GIVEN_UP)]).toEqual([[], false]);
    }
  });
});

describe("the governor", () => {
  test("is set, and put back as it was", async () => {
    const { world, act } = root({
      ...policy(0, "powersave"),
      ...policy(1, "schedutil", "performance schedutil"),
    });
    await act("governor-performance");
    expect(governors(world)).toEqual(["performance", "performance"]);
    await act("governor-performance");
    await act("governor-back");
    expect(governors(world)).toEqual(["powersave", "schedutil"]);
    expect(world.exists(GOVERNOR_BEFORE)).toBe(false);
  });

  test("what was there first is what comes back, however often it is asked for", async () => {
    const { world, act } = root({ ...policy(0, "powersave"), ...policy(1, "powersave") });
    await act("governor-performance");
    world.write(`${CPU}/policy0/scaling_governor`, "schedutil\n");
    await act("governor-performance");
    await act("governor-back");
    expect(governors(world)).toEqual(["powersave", "powersave"]);
  });

  test("one that somebody changed meanwhile is left to them", async () => {
    const { world, act } = root({ ...policy(0, "powersave"), ...policy(1, "powersave") });
    await act("governor-performance");
    world.write(`${CPU}/policy1/scaling_governor`, "schedutil\n");
    await act("governor-back");
    expect(governors(world)).toEqual(["powersave", "schedutil"]);
  });

  test("a host that can't be set, and a record of anything else, change nothing", async () => {
    const record = JSON.stringify({
      "/etc/shadow": "x",
      [`${CPU}/policy0/scaling_governor`]: "a b",
    });
    const { world, act } = root({
      ...policy(0, "performance"),
      ...policy(1, "powersave", "powersave"),
      "/etc/shadow": "s",
      [GOVERNOR_BEFORE]: record,
    });
    await act("governor-back");
    await act("governor-performance");
    expect(governors(world)).toEqual(["performance", "powersave"]);
    expect(world.read("/etc/shadow")).toBe("s");
    expect(world.exists(GOVERNOR_BEFORE)).toBe(false);
  });
});

test("nothing that a home could say is read by any act", async () => {
  for (const verb of VERBS) {
    const { world, act } = root({
      ...policy(0, "powersave"),
      ...policy(1, "powersave"),
      ...UNIT("--build b-aaaaaaaaaaaa --before b-bbbbbbbbbbbb"),
      ...installedOver(OLDER_RELEASES[0]),
      "/usr/local/lib/mountain-shelter/engine": { folder: true },
      [`${FAKE_HOME}/shared.cfg`]: "{",
    });
    const before = world.picture(FAKE_HOME);
    await act(verb);
    expect(world.picture(FAKE_HOME)).toEqual(before);
  }
});
