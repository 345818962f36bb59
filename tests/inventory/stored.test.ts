/** The stored inventory: when a new one is due, and that it can be read back. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fc from "fast-check";
import { unit } from "../../scripts/01_host_inventory.ts";
import { parseInventory, writeInventory } from "../../lib/inventory/document.ts";
import { documentOf } from "../../lib/inventory/plan.ts";
import { inHome } from "../../lib/keep/home.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";
import { factsOf } from "./facts_of.ts";
import { phantom } from "./phantom.ts";
import { shadow, shadowFiles } from "./shadow.ts";

const PATH = inHome.inventory(FAKE_HOME, "testhost");
let world: FakeWorld;
beforeEach(() => (world = fakeMachine(shadow())));
afterEach(() => world.dispose());

const stored = () => {
  const found = parseInventory(world.read(PATH));
  if (found.state !== "ok") throw new Error(JSON.stringify(found));
  return found.document;
};

test("the first run stores, the second changes nothing, a change of the machine keeps the generation before", async () => {
  expect((await runOn(world, unit)).outcome).toBe("changed");
  const first = stored();
  expect(first.before).toBeUndefined();
  const again = await runOn(world, unit);
  expect({ outcome: again.outcome, steps: again.steps }).toEqual({
    outcome: "converged",
    steps: [],
  });
  world.write("/proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 1 kB\nSwapTotal: 8388608 kB\n");
  world.write("/sys/class/dmi/id/bios_version", "V1.10\n");
  const third = await runOn(world, unit);
  expect(third.outcome).toBe("changed");
  expect(stored().before).toEqual({ at: first.at, stable: first.stable, moving: first.moving });
  const said = third.findings.filter(({ id }) => id.startsWith("changed-"));
  expect(said.map(({ what }) => what)).toEqual([
    "of the 16 GB of RAM that are fitted the kernel manages 8 GB, where it was 15.5 GB",
    "firmware V1.08 -> V1.10",
  ]);
  expect(said[0]?.why).toContain(first.at);
  // the loss stays a warning for a day, then it is the last change that there was
  const levels = async (unitNow: FakeWorld) => {
    const report = await runOn(unitNow, unit);
    expect(report.outcome).toBe("converged");
    return report.findings.filter(({ id }) => id.startsWith("changed-")).map(({ level }) => level);
  };
  expect(await levels(world)).toEqual(["warn", "info"]);
  const later = fakeMachine({ ...shadow(), now: () => Date.now() + 25 * 3600 * 1000 });
  for (const path of ["/proc/meminfo", "/sys/class/dmi/id/bios_version", PATH])
    later.write(path, world.read(path));
  expect(await levels(later)).toEqual(["info", "info"]);
  later.dispose();
});

test("what moves by itself makes nothing due", async () => {
  await runOn(world, unit);
  const was = world.read(PATH);
  for (const [path, text] of Object.entries({
    "/sys/class/hwmon/hwmon0/temp1_input": "88000\n",
    "/proc/meminfo":
      "MemTotal: 16252928 kB\nMemAvailable: 77 kB\nSwapTotal: 8388608 kB\nSwapFree: 5 kB\n",
    "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance\n",
    "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "44\n",
    "/proc/sys/kernel/random/boot_id": "another\n",
  })) {
    world.write(path, text);
  }
  expect((await runOn(world, unit)).outcome).toBe("converged");
  expect(world.read(PATH)).toBe(was);
});

test.each([
  ["cut short", (text: string) => text.slice(0, text.length / 2), /line \d+, column \d+/],
  [
    "of another schema",
    (text: string) => text.replace('"schema": 1', '"schema": 9'),
    /schema is 9/,
  ],
  [
    "with a wrong kind of value",
    (text: string) => text.replace(/"logical": 8/, '"logical": "8"'),
    /inventory\.stable\.cpu\.logical is not a number/,
  ],
  ["empty", () => "", /line 1/],
  ["not an object", () => "[]", /schema/],
])(
  "a document that is %s is set aside, never lost, and a new one is taken",
  async (_, damage, why) => {
    await runOn(world, unit);
    const broken = damage(world.read(PATH));
    world.write(PATH, broken);
    const plan = await runOn(world, unit, { mode: "plan" });
    expect(plan.findings.find(({ id }) => id === "inventory-damaged")?.why).toMatch(why);
    expect(world.read(PATH)).toBe(broken);
    expect((await runOn(world, unit)).outcome).toBe("changed");
    expect(stored().stable.machine.profile).toBe("shadow");
    const [aside = ""] = world.picture(inHome.quarantine(FAKE_HOME)).slice(1);
    expect(world.read(aside.split(" ")[0] ?? "")).toBe(broken);
  },
);

test("undo takes the inventory away again", async () => {
  await runOn(world, unit);
  expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
  expect(world.exists(PATH)).toBe(false);
});

test("a run as root and then as a user, and the other way round, comes to rest", async () => {
  await runOn(world, unit);
  const user = fakeMachine(shadow({ root: false }));
  try {
    user.write(PATH, world.read(PATH));
    expect((await runOn(user, unit, { mode: "plan" })).outcome).toBe("converged");
  } finally {
    user.dispose();
  }
});

test("terminal escapes in what the machine says of itself are stored as they are and never printed", async () => {
  const name = "\u001b]0;owned\u0007VX5-591G";
  const facts = await factsOf(shadow({ files: { "/sys/class/dmi/id/product_name": name } }));
  expect(facts.stable.machine.product).toBe(name);
  const { humanReport } = await import("../../lib/report/human.ts");
  const report = await runOn(world, unit, { mode: "plan" });
  const lines = humanReport(
    { ...report, picture: unit.picture?.(facts, {}) ?? [], findings: unit.diagnose(facts, {}) },
    { paint: (_, text) => text, columns: 100, verbose: true },
  );
  expect(lines.join("\n")).toContain("\\x1b]0;owned");
  expect(lines.join("\n")).not.toContain("\u001b");
});

test("whatever sysfs, procfs and the tools say, an inventory is taken, can be read back, and comes to rest", async () => {
  const paths = Object.entries({ ...shadowFiles(), ...phantom().files }).flatMap(([path, file]) =>
    typeof file === "string" ? [path] : [],
  );
  const garbage = fc.oneof(
    fc.string({ unit: "binary", maxLength: 80 }),
    fc.constantFrom(
      "",
      "-1",
      "99999999999999999999",
      "0x",
      "\0\0\0\0",
      "a".repeat(9000),
      "NaN",
      "1e999",
      "[",
      "{}",
      "null",
    ),
  );
  const said = fc.oneof(garbage, fc.json());
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.constantFrom(...paths), garbage, { maxKeys: 30 }),
      fc.tuple(said, said, said, said, said),
      async (files, [one, two, three, four, five]) => {
        const programs = Object.fromEntries(
          [
            ["nvidia-smi", one],
            ["lspci", two],
            ["smartctl", three],
            ["dmidecode", four],
            ["dpkg-query", five],
          ].map(([name = "", stdout = ""]) => [name, () => ({ stdout })] as const),
        );
        const machine = shadow({ files, programs });
        const facts = await factsOf(machine);
        expect(parseInventory(writeInventory(documentOf(facts))).state).toBe("ok");
        const again = fakeMachine(machine);
        try {
          again.write(PATH, writeInventory(documentOf(facts)));
          expect((await runOn(again, unit, { mode: "plan" })).outcome).toBe("converged");
        } finally {
          again.dispose();
        }
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);

test("a document that may not be read blocks, and is never overwritten", async () => {
  const facts = { ...(await factsOf(shadow())), stored: { state: "denied" } as const };
  expect(unit.plan(facts, {})).toEqual([]);
  expect(unit.diagnose(facts, {}).find(({ level }) => level === "fail")).toMatchObject({
    id: "inventory-denied",
    fix: ["sudo", "chown", "--reference", inHome.runtime(FAKE_HOME, "inventory"), PATH],
  });
});
