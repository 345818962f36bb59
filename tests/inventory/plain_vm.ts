import { recorded } from "../facts/fixtures.ts";
import type { FakeMachineOptions } from "../support/fake_machine.ts";
import { POWER } from "./laptop.ts";
import { disk } from "./sysfs.ts";

/** A plain virtual machine: no DMI, no sensors, no PCI Express, one virtual disk. */
export function plainVm(): FakeMachineOptions {
  return {
    me: { root: true },
    programs: { "systemd-detect-virt": () => ({ stdout: "kvm\n" }) },
    system: {
      battery: () => Promise.resolve({ ...POWER, hasBattery: false }),
      system: () => Promise.resolve({ virtual: true, virtualHost: "KVM" }),
    },
    files: {
      "/proc/cpuinfo": recorded("vm.cpuinfo"),
      "/proc/meminfo": recorded("vm.meminfo"),
      "/etc/os-release": recorded("debian-12.os-release"),
      "/proc/self/mountinfo": "22 1 254:0 / / rw - ext4 /dev/vda rw\n",
      ...disk("vda", "pci0000:00/0000:00:02.0/virtio1", "254:1", {
        size: "536870912",
        removable: "0",
        "queue/rotational": "1",
      }),
      "/sys/dev/block/254:0": { link: "../../devices/pci0000:00/0000:00:02.0/virtio1/block/vda" },
    },
  };
}
