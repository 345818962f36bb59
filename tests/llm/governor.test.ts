/** The governor: set where it may be, put back however the work ends. */
import { describe, expect, test } from "bun:test";
import {
  governorChanges,
  putBackAfterKill,
  readPolicies,
  withGovernor,
} from "../../lib/llm/governor.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { SILENT } from "../support/run.ts";

const CPUFREQ = "/sys/devices/system/cpu/cpufreq";
const FILES = ["policy0", "policy4"].map((name) => `${CPUFREQ}/${name}/scaling_governor`);
const HELD = `${FAKE_HOME}/runtime/governor.json`;

const keep = keptForEachTest();
function host(
  root: boolean,
  was: readonly string[] = ["powersave", "schedutil"],
  choices = "performance powersave schedutil",
) {
  const files = FILES.flatMap((path, at) => [
    [path, `${was[at]}\n`],
    [path.replace("scaling_governor", "scaling_available_governors"), `${choices}\n`],
  ]);
  const world = fakeMachine({
    me: { root },
    files: { ...Object.fromEntries(files), [`${FAKE_HOME}/x`]: "" },
  });
  keep(world);
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const act = createAct(world.machine, probe);
  const context = { probe, act, say: SILENT, signal: new AbortController().signal };
  const now = () => FILES.map((path) => world.read(path).trim());
  return { world, context, now, probe };
}

describe("while something is served", () => {
  test("all policies run at full clock, and each gets its own governor back", async () => {
    const { context, now, world } = host(true);
    const inside = await withGovernor(context, () => Promise.resolve(now()));
    expect(inside).toEqual(["performance", "performance"]);
    expect(now()).toEqual(["powersave", "schedutil"]);
    expect(world.exists(HELD)).toBe(false);
  });
  test("also where the work fails", async () => {
    const { context, now } = host(true);
    const failed = withGovernor(context, () => Promise.reject(new Error("out of memory")));
    await expect(failed).rejects.toThrow("out of memory");
    expect(now()).toEqual(["powersave", "schedutil"]);
  });
  test("what somebody else changed meanwhile stays as they wanted it", async () => {
    const { context, now, world } = host(true);
    await withGovernor(context, () => Promise.resolve(world.write(FILES[0] ?? "", "schedutil\n")));
    expect(now()).toEqual(["schedutil", "schedutil"]);
  });
  test("nothing is touched without root, or where there is nothing to choose", async () => {
    const user = host(false);
    expect(await withGovernor(user.context, () => Promise.resolve(user.now()))).toEqual([
      "powersave",
      "schedutil",
    ]);
    const fixed = host(true, ["powersave", "schedutil"], "powersave schedutil");
    expect(governorChanges(readPolicies(fixed.probe))).toEqual([]);
    expect(await withGovernor(fixed.context, () => Promise.resolve(fixed.now()))).toEqual([
      "powersave",
      "schedutil",
    ]);
  });
});

describe("after a kill", () => {
  const held = (started: string, path = FILES[0] ?? "", value = "powersave") =>
    JSON.stringify({ pid: process.pid, started, was: [{ path, value }] });

  test("the next one puts back what the dead one left", async () => {
    const { context, now, world } = host(true, ["performance", "schedutil"]);
    world.write(HELD, held("an earlier life of this pid"));
    putBackAfterKill(context);
    expect(now()).toEqual(["powersave", "schedutil"]);
    expect(world.exists(HELD)).toBe(false);
  });
  test("a living one's is left alone", async () => {
    const { context, now, world, probe } = host(true, ["performance", "schedutil"]);
    const stat = probe.text(`/proc/${process.pid}/stat`) ?? "";
    const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
    world.write(HELD, held(started));
    putBackAfterKill(context);
    expect(now()).toEqual(["performance", "schedutil"]);
    expect(world.exists(HELD)).toBe(true);
  });
  test("a record that names anything else is not acted on", async () => {
    const hostile = [
      held("dead", "/etc/passwd"),
      held("dead", `${CPUFREQ}/policy0/../../../../../../etc/passwd`),
      held("dead", FILES[0], "rm -rf"),
      "{",
      "null",
      "[]",
    ];
    for (const text of hostile) {
      const { context, world, now } = host(true, ["performance", "performance"]);
      world.write("/etc/passwd", "performance");
      world.write(HELD, text);
      putBackAfterKill(context);
      expect(world.read("/etc/passwd")).toBe("performance");
      expect(now()).toEqual(["performance", "performance"]);
      expect(world.exists(HELD)).toBe(false);
    }
  });
});
