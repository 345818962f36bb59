/** Shadow as a fake machine: Aspire VX5-591G, i7-7700HQ, 16 GB, GTX 1050 Ti Mobile, Debian 12 on a hard disk (tests/fixtures/hardware/SOURCE.md). */
import { recorded, recordedLinks, shadowCpuinfo } from "../facts/fixtures.ts";
import type { FakeFile, FakeMachineOptions, FakeProgram } from "../support/fake_machine.ts";
import { meminfo, SMART_DENIED, SYSTEM } from "./laptop.ts";
import { caches, CPUS, disk, dmi, pci, type Files } from "./sysfs.ts";

/** Owners of EFI variables: the UEFI specification (EFI_GLOBAL_VARIABLE), and shim. */
const GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const MOK = "605dab50-e046-4300-abb6-3dd810dd8b23";

/** An EFI variable of one byte as efivarfs shows it: four bytes of attributes come first. */
const efiVariable = (value: number): FakeFile => ({ bytes: Uint8Array.of(6, 0, 0, 0, value) });

/** A device's link as sysfs writes it, from the recorded lspci of shadow's model. */
function linkFacts(address: string): Readonly<Record<string, string>> {
  const link = recordedLinks(recorded("acer-vx5-591g.lspci")).get(address);
  const current = link?.current ?? link?.max;
  return {
    max_link_speed: `${link?.max.speed.toFixed(1)} GT/s PCIe`,
    max_link_width: String(link?.max.width),
    current_link_speed: `${current?.speed.toFixed(1)} GT/s PCIe`,
    current_link_width: String(current?.width),
  };
}

/** Its files, as a real one has them. */
export function shadowFiles(): Files {
  const vulnerabilities = recorded("i7-7700hq.lscpu")
    .split("\n")
    .filter((line) => line.startsWith("Vulnerability "));
  return {
    ...dmi("acer-vx5-591g.dmidecode"),
    "/proc/cpuinfo": shadowCpuinfo(),
    "/proc/meminfo": meminfo(15.5, 8),
    "/proc/cmdline": "BOOT_IMAGE=/vmlinuz-6.1.0-28-amd64 root=UUID=0 ro quiet\n",
    "/proc/sys/kernel/osrelease": "6.1.0-28-amd64\n",
    "/proc/sys/kernel/arch": "x86_64\n",
    "/proc/self/mountinfo": "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n",
    "/etc/os-release": recorded("debian-12.os-release"),
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    "/sys/kernel/security/lsm": "lockdown,capability,landlock,yama,apparmor\n",
    [`${CPUS}/online`]: "0-7\n",
    [`${CPUS}/cpufreq/policy0/scaling_driver`]: "intel_pstate\n",
    [`${CPUS}/cpufreq/policy0/scaling_governor`]: "powersave\n",
    [`${CPUS}/cpufreq/policy0/energy_performance_preference`]: "balance_performance\n",
    [`${CPUS}/cpufreq/policy0/cpuinfo_max_freq`]: "3800000\n",
    [`${CPUS}/intel_pstate/status`]: "active\n",
    [`${CPUS}/intel_pstate/no_turbo`]: "0\n",
    [`${CPUS}/cpu0/thermal_throttle/core_throttle_count`]: "0\n",
    [`${CPUS}/cpu0/thermal_throttle/package_throttle_count`]: "0\n",
    [`${CPUS}/cpu0/thermal_throttle/package_throttle_total_time_ms`]: "0\n",
    ...caches(0, [
      [1, "Data", "32K", "0,4"],
      [1, "Instruction", "32K", "0,4"],
      [2, "Unified", "256K", "0,4"],
      [3, "Unified", "6144K", "0-7"],
    ]),
    ...caches(1, [
      [1, "Data", "32K", "1,5"],
      [2, "Unified", "256K", "1,5"],
      [3, "Unified", "6144K", "0-7"],
    ]),
    ...Object.fromEntries(
      vulnerabilities.map((line) => [
        `${CPUS}/vulnerabilities/${line.slice(14, 32).trim().replace(/:$/, "").toLowerCase().replaceAll(" ", "_")}`,
        `${line.slice(33).replace("Mitigation;", "Mitigation:")}\n`,
      ]),
    ),
    ...pci(
      ["0000:00:01.0"],
      {
        class: "0x060400",
        vendor: "0x8086",
        device: "0x1901",
        ...linkFacts("00:01.0"),
      },
      "pcieport",
    ),
    ...pci(["0000:00:02.0"], { class: "0x030000", vendor: "0x8086", device: "0x591b" }, "i915"),
    ...pci(
      ["0000:00:01.0", "0000:01:00.0"],
      {
        class: "0x030200",
        vendor: "0x10de",
        device: "0x1c8c",
        ...linkFacts("01:00.0"),
      },
      "nvidia",
    ),
    ...disk("sda", "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0", "8:1", {
      size: "1953525168",
      removable: "0",
      "queue/rotational": "1",
      "device/model": "ST1000LM048-2E71",
      "device/wwid": "naa.5000c500a1b2c3d4",
    }),
    "/sys/class/hwmon/hwmon0/name": "coretemp\n",
    "/sys/class/hwmon/hwmon0/temp1_input": "47000\n",
    "/sys/class/hwmon/hwmon0/temp1_label": "Package id 0\n",
    "/sys/class/hwmon/hwmon0/temp1_crit": "100000\n",
    "/sys/class/tpm/tpm0/tpm_version_major": "2\n",
    [`/sys/firmware/efi/efivars/SecureBoot-${GLOBAL}`]: efiVariable(1),
    [`/sys/firmware/efi/efivars/SetupMode-${GLOBAL}`]: efiVariable(0),
    [`/sys/firmware/efi/efivars/MokSBStateRT-${MOK}`]: efiVariable(0),
  };
}

/** nvidia-smi of driver 535 with one GTX 1050 Ti, by the fields it is asked for. */
export function nvidiaSmi(driver = "535.183.01", busy = 0): FakeProgram {
  const values: Readonly<Record<string, string>> = {
    index: "0",
    name: "NVIDIA GeForce GTX 1050 Ti",
    "pci.bus_id": "00000000:01:00.0",
    "pci.device_id": "0x1C8C10DE",
    driver_version: driver,
    "memory.total": "4096 MiB",
    "memory.used": "6 MiB",
    compute_cap: "6.1",
    "temperature.gpu": "41",
    pstate: busy > 0 ? "P0" : "P8",
    "utilization.gpu": `${busy} %`,
  };
  return (argv) => {
    const fields = /^--query-gpu=(.*)$/.exec(argv[1] ?? "")?.[1]?.split(",") ?? [];
    return {
      stdout: `${fields.join(", ")}\n${fields.map((field) => values[field] ?? "[N/A]").join(", ")}\n`,
    };
  };
}

const SMART_GOOD = JSON.stringify({
  smartctl: { exit_status: 0 },
  model_name: "ST1000LM048-2E71",
  rotation_rate: 5400,
  smart_status: { passed: true },
  ata_smart_attributes: {
    table: [
      { id: 5, raw: { value: 0 } },
      { id: 197, raw: { value: 0 } },
    ],
  },
  power_on_time: { hours: 9000 },
  temperature: { current: 31 },
});

/** Its programs, for root or for a user. */
function shadowPrograms(root: boolean): Record<string, FakeProgram> {
  return {
    "nvidia-smi": nvidiaSmi(),
    lspci: () => ({ stdout: recorded("acer-vx5-591g.lspci") }),
    smartctl: () => ({ stdout: root ? SMART_GOOD : SMART_DENIED, code: root ? 0 : 2 }),
    dmidecode: () =>
      root
        ? { stdout: recorded("acer-vx5-591g.dmidecode") }
        : { stderr: "Permission denied\n", code: 1 },
    "dpkg-query": () => ({ stdout: "installed 3.20240910.1~deb12u1" }),
  };
}

/** Shadow; what is given takes the place of what it has. */
export function shadow({
  root = true,
  files = {},
  programs = {},
  system = {},
}: Partial<{
  root: boolean;
  files: Files;
  programs: Record<string, FakeProgram>;
  system: object;
}> = {}): FakeMachineOptions {
  return {
    files: { ...shadowFiles(), ...files },
    programs: { ...shadowPrograms(root), ...programs },
    me: { root },
    system: { ...SYSTEM, ...system },
  };
}
