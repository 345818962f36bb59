/** Each finding that nobody asked for appears where it should, and vanishes where it should not be. */
import { expect, test } from "bun:test";
import { documentOf } from "../../lib/inventory/plan.ts";
import { unaskedInventory } from "../../lib/inventory/unasked.ts";
import type { InventoryFacts } from "../../lib/inventory/observe.ts";
import type { FakeFile, FakeMachineOptions } from "../support/fake_machine.ts";
import { recorded } from "../facts/fixtures.ts";
import { after, factsOf } from "./facts_of.ts";
import { POWER } from "./laptop.ts";
import { phantom } from "./phantom.ts";
import { plainVm } from "./plain_vm.ts";
import { nvidiaSmi, shadow } from "./shadow.ts";

const CPUS = "/sys/devices/system/cpu";
const CARD = "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0";
const SDA = "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda";
const VARS = "/sys/firmware/efi/efivars";
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

const withFiles = (files: Readonly<Record<string, FakeFile>>) => shadow({ files });
const power = (changed: object) =>
  shadow({ system: { battery: () => Promise.resolve({ ...POWER, ...changed }) } });
const oneModule = recorded("acer-vx5-591g.dmidecode").replace(
  /Size: 8 GB((?:\n\t.*)*?)\n\tLocator: ChannelB-DIMM0/,
  "Size: No Module Installed$1\n\tLocator: ChannelB-DIMM0",
);

/** Finding, a machine that has it, and what it says. All of them are missing on the sound shadow, but for the home on its hard disk. */
const CASES: readonly (readonly [
  id: string,
  machine: FakeMachineOptions,
  says: RegExp,
  host?: string,
])[] = [
  [
    "ram-single-channel",
    shadow({ programs: { dmidecode: () => ({ stdout: oneModule }) } }),
    /one channel of two: ChannelB-DIMM0 is empty/,
  ],
  [
    "swap-missing",
    withFiles({ "/proc/meminfo": "MemTotal: 16000000 kB\nSwapTotal: 0 kB\n" }),
    /no swap beside 15.5 GB/,
  ],
  [
    "disk-failing-sda",
    shadow({ programs: { smartctl: () => ({ stdout: recorded("smart-ata-failing.json") }) } }),
    /on its way out: .*8 sectors can't be read, 1975 sectors were replaced/,
  ],
  [
    "disk-worn-sda",
    shadow({
      programs: {
        smartctl: () => ({
          stdout: recorded("smart-nvme.json").replace(
            '"percentage_used": 0',
            '"percentage_used": 93',
          ),
        }),
      },
    }),
    /93 % of the life/,
  ],
  [
    "gpu-without-driver",
    shadow({ programs: { "nvidia-smi": () => ({ code: 9 }) } }),
    /lies idle: NVIDIA's driver is not loaded/,
  ],
  [
    "driver-drops-gpu",
    shadow({ programs: { "nvidia-smi": nvidiaSmi("590.44.01") } }),
    /driver 590 no longer drives .*580/,
  ],
  [
    "pcie-below-0000:01:00.0",
    withFiles({ [`${CARD}/current_link_speed`]: "2.5 GT/s PCIe\n" }),
    /Gen1 x16 where Gen3 x16 .*look again while a model runs/,
  ],
  [
    "microcode-missing",
    shadow({
      programs: {
        "dpkg-query": () => ({
          code: 1,
          stderr: "dpkg-query: no packages found matching intel-microcode",
        }),
      },
    }),
    /intel-microcode is not installed/,
  ],
  [
    "cpu-open",
    withFiles({
      [`${CPUS}/vulnerabilities/mds`]: "Vulnerable: Clear CPU buffers attempted, no microcode\n",
    }),
    /open to mds/,
  ],
  [
    "heat-rose",
    withFiles({
      [`${CPUS}/cpu0/thermal_throttle/package_throttle_count`]: "12\n",
      [`${CPUS}/cpu0/thermal_throttle/package_throttle_total_time_ms`]: "65000\n",
    }),
    /12 times since boot: 65.0 s/,
  ],
  [
    "power-saving",
    withFiles({ [`${CPUS}/cpufreq/policy0/energy_performance_preference`]: "power\n" }),
    /energy preference "power"/,
  ],
  ["turbo-off", withFiles({ [`${CPUS}/intel_pstate/no_turbo`]: "1\n" }), /turbo is switched off/],
  ["on-battery", power({ acConnected: false }), /on battery \(80 %\)/],
  ["battery-worn", power({ maxCapacity: 26_000 }), /holds 50 %/],
  [
    "secure-boot-hollow",
    withFiles({ [`${VARS}/SetupMode-${GLOBAL}`]: { bytes: Uint8Array.of(6, 0, 0, 0, 1) } }),
    /holds no platform key: whatever boots next may enrol/,
  ],
  ["wrong-host-name", shadow(), /called phantom, and its hardware is shadow's/, "phantom"],
];

const found = (facts: InventoryFacts, id: string) =>
  unaskedInventory(facts).find((one) => one.id === id);

test("a sound shadow has nothing to say but that its home stands on a hard disk", async () => {
  const facts = await factsOf(shadow(), "shadow");
  expect(unaskedInventory(facts).map(({ id }) => id)).toEqual(["home-on-hdd"]);
});

for (const [id, machine, says, host] of CASES) {
  test(`${id} appears, with a command and a reason`, async () => {
    const one = found(await factsOf(machine, host), id);
    expect(`${one?.what}: ${one?.why}`).toMatch(says);
    expect(one?.fix?.length).toBeGreaterThan(0);
    expect(one?.evidence).not.toBe("");
  });
}

test("home-on-hdd vanishes on an SSD, and names a faster disk where there is one", async () => {
  const ssd = await factsOf(withFiles({ [`${SDA}/queue/rotational`]: "0\n" }));
  expect(found(ssd, "home-on-hdd")).toBeUndefined();
  expect(found(await factsOf(phantom()), "home-on-hdd")).toBeUndefined();
  const both = await factsOf(
    shadow({
      files: {
        "/sys/devices/pci0000:00/0000:00:1d.0/0000:04:00.0/nvme/nvme0/block/nvme0n1/size":
          "1000215216\n",
        "/sys/block/nvme0n1": {
          link: "../devices/pci0000:00/0000:00:1d.0/0000:04:00.0/nvme/nvme0/block/nvme0n1",
        },
      },
    }),
  );
  expect(found(both, "home-on-hdd")?.why).toContain("from nvme0n1");
});

test("soldered memory of eight channels is not a single one", async () => {
  expect(found(await factsOf(phantom({ root: true })), "ram-single-channel")).toBeUndefined();
});

test("slots whose names tell no channel are not judged", async () => {
  const nameless = oneModule.replaceAll(/Channel[AB]-/g, "");
  expect(
    found(
      await factsOf(shadow({ programs: { dmidecode: () => ({ stdout: nameless }) } })),
      "ram-single-channel",
    ),
  ).toBeUndefined();
});

test("driver 580 and a Turing card keep driver-drops-gpu away", async () => {
  expect(
    found(
      await factsOf(shadow({ programs: { "nvidia-smi": nvidiaSmi("580.95.05") } })),
      "driver-drops-gpu",
    ),
  ).toBeUndefined();
  const turing = shadow({
    programs: {
      "nvidia-smi": (argv, world, options) => {
        const said = nvidiaSmi("590.44.01")(argv, world, options) as { stdout: string };
        return { stdout: said.stdout.replace("6.1", "7.5") };
      },
    },
  });
  expect(found(await factsOf(turing), "driver-drops-gpu")).toBeUndefined();
});

test("a busy link below its best is a warning, not a guess", async () => {
  const busy = await factsOf(
    shadow({
      files: { [`${CARD}/current_link_width`]: "4\n" },
      programs: { "nvidia-smi": nvidiaSmi("535.1", 99) },
    }),
  );
  expect(found(busy, "pcie-below-0000:01:00.0")).toMatchObject({ level: "warn" });
});

test("heat is counted from the last inventory of the same boot, and from boot after a new one", async () => {
  const counted = (count: number, boot = "11111111-2222-3333-4444-555555555555") =>
    factsOf(
      withFiles({
        [`${CPUS}/cpu0/thermal_throttle/core_throttle_count`]: `${count}\n`,
        "/proc/sys/kernel/random/boot_id": `${boot}\n`,
      }),
    );
  const first = await counted(10);
  expect(found(after(first, await counted(10)), "heat-rose")).toBeUndefined();
  expect(found(after(first, await counted(15)), "heat-rose")?.what).toContain(
    `5 times since the inventory of ${first.at}`,
  );
  expect(found(after(first, await counted(15, "another")), "heat-rose")?.what).toContain(
    "15 times since boot",
  );
  const nameless = {
    ...(await counted(15)),
    moving: { ...(await counted(15)).moving, boot: { unknown: "", because: "absent" as const } },
  };
  expect(
    found(
      after({ ...first, moving: { ...first.moving, boot: nameless.moving.boot } }, nameless),
      "heat-rose",
    )?.what,
  ).toContain("15 times since boot");
  expect(documentOf(first).moving.throttled).toEqual({ core: 10, package: 0, milliseconds: 0 });
});

test("no microcode package is asked for inside a virtual machine", async () => {
  const ids = unaskedInventory(await factsOf(plainVm())).map(({ id }) => id);
  expect(ids).toEqual(["swap-missing"]);
});

test("open vulnerabilities name what closes them: microcode, the host of a machine that is virtual, or the operator's own switch", async () => {
  const open = { [`${CPUS}/vulnerabilities/mds`]: "Vulnerable\n" };
  const why = async (machine: FakeMachineOptions) => found(await factsOf(machine), "cpu-open")?.why;
  expect(await why(withFiles(open))).toContain("newer microcode");
  expect(await why(withFiles({ ...open, "/proc/cmdline": "ro mitigations=off\n" }))).toContain(
    "told mitigations=off",
  );
  const vm = plainVm();
  expect(await why({ ...vm, files: { ...vm.files, ...open } })).toContain(
    "what this machine runs in",
  );
});
