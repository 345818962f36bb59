/** Phantom as a fake machine: Galaxy Book2 Pro, i7-1260P, 16 GB soldered, NVMe, Kali (tests/fixtures/hardware/SOURCE.md). */
import { ALDER_LAKE_P, cpuinfoOf, recorded } from "../facts/fixtures.ts";
import type { FakeMachineOptions } from "../support/fake_machine.ts";
import { meminfo, SMART_DENIED, SYSTEM } from "./laptop.ts";
import { caches, CPUS, disk, dmi, pci, type Files } from "./sysfs.ts";

/** Phantom; what is given takes the place of what it has. */
export function phantom({
  root = false,
  files = {},
}: { root?: boolean; files?: Files } = {}): FakeMachineOptions {
  return {
    me: { root },
    system: SYSTEM,
    programs: {
      lspci: () => ({ stdout: recorded("samsung-950xed.lspci") }),
      smartctl: () => ({ stdout: root ? recorded("smart-nvme.json") : SMART_DENIED }),
      dmidecode: () => (root ? { stdout: recorded("samsung-950xed.dmidecode") } : { code: 1 }),
      "dpkg-query": () => ({ stdout: "installed 3.20250512.1" }),
    },
    files: {
      ...dmi("samsung-950xed.dmidecode"),
      "/proc/cpuinfo": cpuinfoOf(recorded("i7-1260p.cpuinfo"), ALDER_LAKE_P),
      "/proc/meminfo": meminfo(15.2, 16),
      "/proc/cmdline": "BOOT_IMAGE=/boot/vmlinuz root=UUID=1 ro quiet splash\n",
      "/proc/sys/kernel/osrelease": "6.12.25-amd64\n",
      "/proc/self/mountinfo": "22 1 0:30 / / rw - btrfs /dev/nvme0n1p1 rw\n",
      "/dev/nvme0n1p1": "",
      "/etc/os-release":
        'PRETTY_NAME="Kali GNU/Linux Rolling"\nID=kali\nID_LIKE=debian\nVERSION_ID="2025.2"\n',
      "/sys/devices/cpu_core/cpus": "0-7\n",
      "/sys/devices/cpu_atom/cpus": "8-15\n",
      [`${CPUS}/online`]: "0-15\n",
      [`${CPUS}/cpufreq/policy0/scaling_driver`]: "intel_pstate\n",
      [`${CPUS}/cpufreq/policy0/scaling_governor`]: "powersave\n",
      [`${CPUS}/cpufreq/policy0/cpuinfo_max_freq`]: "4700000\n",
      [`${CPUS}/cpufreq/policy8/cpuinfo_max_freq`]: "3400000\n",
      [`${CPUS}/intel_pstate/status`]: "active\n",
      ...caches(0, [
        [2, "Unified", "1280K", "0-1"],
        [3, "Unified", "18432K", "0-15"],
      ]),
      ...caches(8, [
        [2, "Unified", "2048K", "8-11"],
        [3, "Unified", "18432K", "0-15"],
      ]),
      "/sys/devices/system/node/online": "0\n",
      ...pci(
        ["0000:00:02.0"],
        {
          class: "0x030000",
          vendor: "0x8086",
          device: "0x46a6",
          "drm/card1/gt/gt0/rps_act_freq_mhz": "350",
          "drm/card1/gt/gt0/rps_RP0_freq_mhz": "1400",
          "drm/card1/gt/gt0/throttle_reason_status": "1",
          "drm/card1/gt/gt0/throttle_reason_pl1": "1",
          "drm/card1/gt/gt0/throttle_reason_thermal": "0",
        },
        "i915",
      ),
      ...pci(
        ["0000:00:06.0"],
        {
          class: "0x060400",
          vendor: "0x8086",
          device: "0x464d",
          max_link_speed: "16.0 GT/s PCIe",
          max_link_width: "4",
        },
        "pcieport",
      ),
      ...pci(
        ["0000:00:06.0", "0000:01:00.0"],
        {
          class: "0x010802",
          vendor: "0x144d",
          device: "0xa809",
          max_link_speed: "8.0 GT/s PCIe",
          max_link_width: "4",
          current_link_speed: "8.0 GT/s PCIe",
          current_link_width: "4",
        },
        "nvme",
      ),
      ...disk("nvme0n1", "pci0000:00/0000:00:06.0/0000:01:00.0/nvme/nvme0", "259:1", {
        size: "1000215216",
        removable: "0",
        "queue/rotational": "0",
        "device/model": "SAMSUNG MZVL4512HBLU-00B07",
        wwid: "eui.0025388c1b2a3c4d",
      }),
      ...files,
    },
  };
}
