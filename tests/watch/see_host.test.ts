/** The eyes for the host, on files as a laptop's kernel gives them. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createProbe } from "../../lib/machine/probe.ts";
import { hostEyes } from "../../lib/watch/see_host.ts";
import { FAKE_HOME, fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";

const PCI = "/sys/bus/pci/devices/0000:01:00.0";
const PORT = "/sys/devices/pci0000:00/0000:00:01.0";
const CARD = `${PORT}/0000:01:00.0`;
const CPUFREQ = "/sys/devices/system/cpu/cpufreq/policy0";
const NVIDIA = readFileSync(
  join(import.meta.dir, "../fixtures/hardware/gtx-1050-ti.nvidia-smi.csv"),
  "utf8",
);

/** A laptop with a lid, a battery, a processor that has throttled, and a card in a slot of the third generation. */
const LAPTOP: Readonly<Record<string, FakeFile>> = {
  "/proc/meminfo":
    "MemTotal: 8000000 kB\nMemAvailable: 300000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
  "/proc/acpi/button/lid/LID0/state": "state:      closed\n",
  "/sys/class/power_supply/AC/type": "Mains\n",
  "/sys/class/power_supply/AC/online": "0\n",
  "/sys/class/hwmon/hwmon0/name": "coretemp\n",
  "/sys/class/hwmon/hwmon0/temp1_input": "93000\n",
  "/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "17\n",
  [`${CPUFREQ}/scaling_governor`]: "powersave\n",
  [`${CPUFREQ}/scaling_available_governors`]: "performance powersave\n",
  "/run/systemd/timesync/synchronized": "",
  [PCI]: { link: "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0" },
  "/sys/bus/pci/devices/0000:00:01.0": { link: "../../../devices/pci0000:00/0000:00:01.0" },
  [`${PORT}/max_link_speed`]: "8.0 GT/s PCIe\n",
  [`${PORT}/max_link_width`]: "16\n",
  [`${CARD}/class`]: "0x030000\n",
  [`${CARD}/vendor`]: "0x10de\n",
  [`${CARD}/power/runtime_status`]: "active\n",
  [`${CARD}/max_link_speed`]: "8.0 GT/s PCIe\n",
  [`${CARD}/max_link_width`]: "16\n",
  [`${CARD}/current_link_speed`]: "2.5 GT/s PCIe\n",
  [`${CARD}/current_link_width`]: "16\n",
};

let world: FakeWorld | undefined;
afterEach(() => world?.dispose());

/** What is seen once every reading has come; `busy` in percent of the card. */
async function seen(busy: number, over: Readonly<Record<string, FakeFile>> = {}) {
  // the recorded table, with the columns that it was not asked for
  const [head = "", row = ""] = NVIDIA.trim().split("\n");
  const table = `${head}, pci.bus_id, utilization.gpu [%]\n${row}, 00000000:01:00.0, ${busy} %\n`;
  world = fakeMachine({
    files: { ...LAPTOP, ...over },
    programs: { "nvidia-smi": () => ({ stdout: table }) },
  });
  const look = hostEyes(createProbe(world.machine, FAKE_HOME, "shadow"));
  look(1000);
  await Bun.sleep(20);
  return { host: look(1001), asked: world.started.length };
}

test("a laptop: memory, heat, throttling, governor, battery, lid and clock are read from files", async () => {
  const { host } = await seen(0);
  expect(host).toMatchObject({
    memory: { available: 300_000 * 1024, total: 8_000_000 * 1024 },
    celsius: 93,
    throttled: 17,
    governor: "powersave",
    onBattery: true,
    lid: "closed",
    clockSynced: true,
  });
});

test("a slow link counts only while the card has work", async () => {
  expect((await seen(0)).host.slowLinks).toEqual([]);
  world?.dispose();
  const [slow] = (await seen(97)).host.slowLinks;
  expect(slow).toContain("Gen1 x16 where Gen3 x16 is to be expected, while 97 % busy");
});

test("the card's memory and heat come from nvidia-smi; a card that sleeps is not woken to be asked", async () => {
  const awake = await seen(0);
  expect(awake.asked).toBe(1);
  expect(awake.host.gpus).toMatchObject([{ name: expect.stringContaining("1050") }]);
  expect(awake.host.gpus[0]?.vram).toBeGreaterThan(2 ** 30);
  world?.dispose();
  const asleep = await seen(0, { [`${CARD}/power/runtime_status`]: "suspended\n" });
  expect(asleep).toMatchObject({ asked: 0, host: { gpus: [], slowLinks: [] } });
});

test("of several governors the one that slows down is seen; one that can't be set counts for nothing", async () => {
  const policy = (n: number, now: string, all: string) => ({
    [`/sys/devices/system/cpu/cpufreq/policy${n}/scaling_governor`]: `${now}\n`,
    [`/sys/devices/system/cpu/cpufreq/policy${n}/scaling_available_governors`]: `${all}\n`,
  });
  const both = "performance schedutil";
  for (const [second, governor] of [
    [policy(1, "performance", both), "performance"],
    [policy(1, "schedutil", both), "schedutil"],
    [policy(1, "userspace", "userspace"), "performance"],
  ] as const) {
    const { host } = await seen(0, { ...policy(0, "performance", both), ...second });
    expect(host.governor).toBe(governor);
    world?.dispose();
  }
});

test("a machine that tells nothing of all this gives nothing", async () => {
  world = fakeMachine({});
  const look = hostEyes(createProbe(world.machine, FAKE_HOME, "shadow"));
  look(1000);
  await Bun.sleep(5);
  const { disk: _, ...rest } = look(1001);
  expect(rest).toEqual({ gpus: [], slowLinks: [] });
});

test("each part is read at its own pace", async () => {
  world = fakeMachine({ files: LAPTOP, programs: { "nvidia-smi": () => ({ stdout: NVIDIA }) } });
  const look = hostEyes(createProbe(world.machine, FAKE_HOME, "shadow"));
  for (let now = 1000; now < 61_000; now += 2000) {
    look(now);
    await Bun.sleep(1);
  }
  expect(world.started).toHaveLength(1);
  world.write("/proc/meminfo", "MemTotal: 8 kB\nMemAvailable: 4 kB\n");
  expect(look(61_000).memory?.total).toBe(8 * 1024);
});
