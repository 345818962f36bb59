/** What 01_host_inventory sees of each machine, and what it says that it cannot see. */
import { expect, test } from "bun:test";
import { unit } from "../../scripts/01_host_inventory.ts";
import { pci } from "./sysfs.ts";
import { factsOf } from "./facts_of.ts";
import { phantom } from "./phantom.ts";
import { plainVm } from "./plain_vm.ts";
import { nvidiaSmi, shadow } from "./shadow.ts";

const ids = (found: readonly { readonly id: string }[]) => found.map(({ id }) => id);

test("shadow is recognised and read whole, as root", async () => {
  const { stable, moving } = await factsOf(shadow());
  expect(stable.machine).toMatchObject({
    profile: "shadow",
    product: "Aspire VX5-591G",
    family: "Aspire VX 15",
    virtual: "none",
    bios: { vendor: "Insyde Corp.", version: "V1.08", date: "05/23/2018" },
  });
  expect(stable.cpu).toMatchObject({
    logical: 8,
    physical: 4,
    driver: "intel_pstate",
    microcode: "0xf4",
    microcodePackage: "intel-microcode 3.20240910.1~deb12u1",
  });
  expect(stable.cpu.caches).toContainEqual({
    level: 3,
    type: "Unified",
    bytes: 6 * 2 ** 20,
    count: 1,
  });
  expect(stable.cpu.vulnerabilities).toMatchObject({
    meltdown: "Mitigation: PTI",
    tsx_async_abort: "Not affected",
  });
  expect(stable.gpus).toEqual([
    expect.objectContaining({
      address: "0000:00:02.0",
      maker: "intel",
      module: "i915",
      name: "Intel Corporation HD Graphics 630",
    }),
    expect.objectContaining({
      address: "0000:01:00.0",
      id: "10de:1c8c",
      maker: "nvidia",
      module: "nvidia",
      driver: "535.183.01",
      vram: 4 * 2 ** 30,
      computeCapability: { value: "6.1", from: "nvidia-smi" },
    }),
  ]);
  expect(stable.links).toEqual([
    {
      address: "0000:01:00.0",
      name: "NVIDIA GeForce GTX 1050 Ti",
      max: { speed: 8, width: 16 },
      upstream: { address: "0000:00:01.0", max: { speed: 8, width: 16 } },
      expected: { speed: 8, width: 16 },
    },
  ]);
  expect(moving.links).toEqual([
    {
      address: "0000:01:00.0",
      current: { speed: 8, width: 16 },
      state: "as-expected",
      why: "Gen3 x16",
    },
  ]);
  expect(stable.disks).toEqual([
    {
      name: "sda",
      kind: "hdd",
      model: "ST1000LM048-2E71",
      mark: expect.stringMatching(/^[0-9a-f]{12}$/),
      bytes: 1953525168 * 512,
      smart: { passed: true, reallocated: 0, pending: 0 },
    },
  ]);
  expect(stable.homeDisk).toBe("sda");
  expect(moving.disks).toEqual([{ name: "sda", hours: 9000, celsius: 31 }]);
  expect(stable.firmware).toEqual({ boot: "efi", secureBoot: "on", tpm: "2.x" });
  expect(stable.os).toMatchObject({
    id: "debian",
    version: "12",
    kernel: "6.1.0-28-amd64",
    lockdown: "none",
    cmdline: ["BOOT_IMAGE=…", "root=…", "ro", "quiet"],
  });
  expect(moving.temperatures).toEqual([
    { name: "coretemp Package id 0", celsius: 47, critical: 100 },
  ]);
  expect(moving.cpu).toMatchObject({
    governor: "powersave",
    preference: "balance_performance",
    pstate: "active",
    turbo: true,
    maxMegahertz: [3800],
  });
  expect(moving.power).toMatchObject({ battery: { percent: 80, cycles: 210 }, mains: true });
});

test("no serial number of a disk is in the document, only its mark", async () => {
  expect(JSON.stringify(await factsOf(shadow()))).not.toContain("5000c500");
});

test("phantom as a user: hybrid cores, and what root would add is said", async () => {
  const facts = await factsOf(phantom());
  expect(facts.stable.machine).toMatchObject({
    profile: "phantom",
    product: "950XED",
    family: "Galaxy Book2 Pro",
  });
  expect(facts.stable.cpu.hybrid).toEqual({ performance: "0-7", efficiency: "8-15" });
  expect(facts.moving.cpu.maxMegahertz).toEqual([4700, 3400]);
  expect(facts.stable.gpus[0]).toMatchObject({
    maker: "intel",
    module: "i915",
    vram: { unknown: "it shares the machine's memory" },
  });
  expect(facts.moving.gpus).toEqual([
    { address: "0000:00:02.0", megahertz: 350, maxMegahertz: 1400, slowedBy: ["pl1"] },
  ]);
  expect(facts.stable.cpu.nodes).toBe(1);
  expect(facts.stable.links[0]?.expected).toEqual({ speed: 8, width: 4 });
  expect(facts.stable.homeDisk).toBe("nvme0n1");
  const added = unit.diagnose(facts, {}).find(({ id }) => id === "root-would-add");
  expect(added?.what).toBe(
    "root would add: the memory modules, slot by slot (dmidecode); the health of nvme0n1 (SMART)",
  );
  expect(added?.fix).toEqual(["sudo", "./bin/01_host_inventory"]);
  const root = await factsOf(phantom({ root: true }));
  expect(ids(unit.diagnose(root, {}))).not.toContain("root-would-add");
  expect(root.stable.memory.slots).toHaveLength(8);
});

test("a plain virtual machine: its disk is virtual whatever it says, and no health is guessed", async () => {
  const facts = await factsOf(plainVm());
  expect(facts.stable.machine).toMatchObject({ profile: "plain", virtual: "kvm" });
  expect(facts.stable.machine.vendor).toEqual({
    unknown: "the firmware shows no DMI here",
    because: "absent",
  });
  expect(facts.stable.disks[0]).toMatchObject({
    name: "vda",
    kind: "virtual",
    smart: { because: "absent" },
  });
  expect(facts.stable.homeDisk).toBe("vda");
  expect(facts.stable.firmware.secureBoot).toMatchObject({ because: "absent" });
  expect(facts.stable.cpu.microcodePackage).toEqual({
    unknown: "the host of a virtual machine loads the microcode",
    because: "absent",
  });
  expect(facts.moving.power.battery).toMatchObject({ because: "absent" });
});

test("a machine that shows nothing at all still has an inventory, all of it unknown", async () => {
  const facts = await factsOf({
    system: { battery: () => Promise.reject(new Error("no such folder")) },
  });
  expect(facts.stable.machine.profile).toBe("plain");
  expect(facts.stable.cpu.model).toMatchObject({ because: "absent" });
  expect(facts.moving.power.battery).toEqual({
    unknown: "systeminformation: no such folder",
    because: "failed",
  });
  expect(unit.plan(facts, {})).toHaveLength(1);
  expect(unit.picture?.(facts, {}).join("\n")).toContain("unknown");
  expect(unit.diagnose(facts, {}).filter(({ level }) => level === "unknown")).toHaveLength(2);
});

test("the GTX 1050 Ti is 6.1 by its id where NVIDIA's driver is missing, and it is said where that comes from", async () => {
  const world = shadow({ files: { "/sys/module/nvidia/version": "" } });
  delete (world.programs as Record<string, unknown>)["nvidia-smi"];
  const card = (await factsOf(world)).stable.gpus[1];
  expect(card?.computeCapability).toEqual({ value: "6.1", from: "PCI id 10de:1c8c" });
  expect(card?.vram).toEqual({
    unknown: "only NVIDIA's driver tells (nvidia-smi)",
    because: "absent",
  });
  expect(card?.name).toBe("NVIDIA Corporation GP107M [GeForce GTX 1050 Ti Mobile]");
  delete (world.programs as Record<string, unknown>)["lspci"];
  expect((await factsOf(world)).stable.gpus[1]?.name).toBe("GeForce GTX 1050 Ti Mobile");
});

test("an old nvidia-smi that refuses compute_cap is asked again without it", async () => {
  const old = shadow({
    programs: {
      "nvidia-smi": (argv) =>
        argv[1]?.includes("compute_cap")
          ? { code: 2, stdout: 'Field "compute_cap" is not a valid field to query.\n' }
          : {
              stdout:
                "name, pci.bus_id, driver_version, memory.total [MiB]\nGeForce GTX 1050 Ti, 00000000:01:00.0, 470.256.02, 4040 MiB\n",
            },
    },
  });
  expect((await factsOf(old)).stable.gpus[1]).toMatchObject({
    driver: "470.256.02",
    computeCapability: { value: "6.1", from: "PCI id 10de:1c8c" },
  });
});

test("a home behind LUKS and LVM is followed to its one disk, and disks over USB are left out", async () => {
  const facts = await factsOf(
    shadow({
      files: {
        "/proc/self/mountinfo": "22 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw\n",
        "/sys/dev/block/253:1": { link: "../../devices/virtual/block/dm-1" },
        "/sys/devices/virtual/block/dm-1/slaves/dm-0": { link: "../../dm-0" },
        "/sys/devices/virtual/block/dm-0/slaves/sda1": {
          link: "../../../../pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
        },
        "/sys/block/dm-0": { link: "../devices/virtual/block/dm-0" },
        "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/host4/block/sdb/size": "1000\n",
        "/sys/block/sdb": { link: "../devices/pci0000:00/0000:00:14.0/usb1/1-1/host4/block/sdb" },
      },
    }),
  );
  expect(facts.stable.homeDisk).toBe("sda");
  expect(facts.stable.disks.map(({ name }) => name)).toEqual(["sda"]);
});

test("an idle link below its best is unknown; a busy one is below", async () => {
  const slow = {
    "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/current_link_speed": "2.5 GT/s PCIe\n",
  };
  expect((await factsOf(shadow({ files: slow }))).moving.links[0]?.state).toBe("unknown");
  const busy = await factsOf(
    shadow({ files: slow, programs: { "nvidia-smi": nvidiaSmi("535.183.01", 97) } }),
  );
  expect(busy.moving.links[0]).toMatchObject({
    state: "below",
    why: "Gen1 x16 where Gen3 x16 is to be expected, while 97 % busy",
  });
  const asleep = await factsOf(
    shadow({
      files: {
        "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/current_link_speed": "Unknown\n",
        "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/power/runtime_status": "suspended\n",
      },
    }),
  );
  expect(asleep.moving.links[0]).toMatchObject({ state: "unknown", why: "the device sleeps" });
});

test("a hypervisor's name: from systemd, else from systeminformation, else root would know", async () => {
  const { programs: _, ...bare } = plainVm();
  const virtual = async (system: object, root: boolean) =>
    (await factsOf({ ...bare, me: { root }, system: { ...bare.system, ...system } })).stable.machine
      .virtual;
  const nameless = { system: () => Promise.resolve({ virtual: true, virtualHost: "" }) };
  expect(await virtual({}, false)).toBe("kvm");
  expect(await virtual(nameless, false)).toEqual({
    unknown: "root would add: which hypervisor this runs in",
    because: "denied",
  });
  expect(await virtual(nameless, true)).toEqual({
    unknown: "a hypervisor that does not name itself",
    because: "absent",
  });
  const inside = await factsOf({ ...plainVm(), files: { ...plainVm().files, "/.dockerenv": "" } });
  expect(inside.stable.machine.virtual).toBe("container in kvm");
});

test("a slower port above a card lowers what is to be expected of its link", async () => {
  const narrow = await factsOf(
    shadow({ files: { "/sys/devices/pci0000:00/0000:00:01.0/max_link_width": "4\n" } }),
  );
  expect(narrow.stable.links[0]?.expected).toEqual({ speed: 8, width: 4 });
});

test("a counter that several threads share is counted once", async () => {
  const throttle = (cpu: number, core: number, count: number) => ({
    [`/sys/devices/system/cpu/cpu${cpu}/thermal_throttle/core_throttle_count`]: `${count}\n`,
    [`/sys/devices/system/cpu/cpu${cpu}/thermal_throttle/package_throttle_count`]: "7\n",
    [`/sys/devices/system/cpu/cpu${cpu}/topology/core_id`]: `${core}\n`,
    [`/sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`]: "0\n",
  });
  const facts = await factsOf(
    shadow({ files: { ...throttle(0, 0, 3), ...throttle(4, 0, 3), ...throttle(1, 1, 2) } }),
  );
  expect(facts.moving.throttled).toEqual({ core: 5, package: 7, milliseconds: 0 });
});

test("the table shows both machines at a glance", async () => {
  const lines = (facts: Awaited<ReturnType<typeof factsOf>>) =>
    (unit.picture?.(facts, {}) ?? []).join("\n");
  const one = lines(await factsOf(shadow()));
  expect(one).toContain("Acer Aspire VX5-591G (shadow), firmware V1.08 of 05/23/2018");
  expect(one).toContain("16 GB (2 x 8 GB DDR4-2400)");
  expect(one).toContain(
    "NVIDIA GeForce GTX 1050 Ti [10de:1c8c], 4.0 GiB VRAM, compute capability 6.1 (Pascal), by nvidia-smi, driver 535.183.01",
  );
  expect(one).toContain(
    "sda (ST1000LM048-2E71), 932 GiB hdd, holds the home; health: passed, 9000 h",
  );
  const other = lines(await factsOf(phantom()));
  expect(other).toContain("12 cores, 16 threads (fast: 0-7; frugal: 8-15)");
  expect(other).toContain(
    "modules unknown: root would add: the memory modules, slot by slot (dmidecode)",
  );
});

test("a display that nothing drives and lspci has no name for, as QEMU's", async () => {
  const facts = await factsOf({
    programs: {
      lspci: () => ({
        stdout: "0000:00:01.0 VGA compatible controller [0300]: Device [1234:1111] (rev 02)\n",
      }),
    },
    files: pci(["0000:00:01.0"], { class: "0x030000", vendor: "0x1234", device: "0x1111" }),
  });
  expect(facts.stable.gpus[0]).toMatchObject({ maker: "virtual", name: "device 1234:1111" });
  expect(unit.picture?.(facts, {}).join("\n")).toContain(
    "device 1234:1111 [1234:1111], its driver does not tell, no kernel module drives it",
  );
});

test("tools that are missing are named with what they would add, on Debian with the line that installs them", async () => {
  const world = shadow();
  for (const tool of ["smartctl", "dmidecode"])
    delete (world.programs as Record<string, unknown>)[tool];
  const missing = async (machine: typeof world) =>
    unit.diagnose(await factsOf(machine), {}).find(({ id }) => id === "tools-missing");
  expect(await missing(world)).toMatchObject({
    what: "smartmontools and dmidecode would add: the health of the disks; the memory modules, slot by slot",
    fix: ["sudo", "apt-get", "install", "smartmontools", "dmidecode"],
  });
  expect(await missing(shadow())).toBeUndefined();
  expect(
    (await missing({ ...world, files: { ...world.files, "/etc/os-release": "ID=void\n" } }))?.fix,
  ).toBeUndefined();
});
