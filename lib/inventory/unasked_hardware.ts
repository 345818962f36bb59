/** What nobody asked about memory, disks, GPUs and links. */
import { isFailing } from "../facts/disk.ts";
import { driverBranch } from "../facts/gpu.ts";
import type { MemorySlot } from "../facts/memory.ts";
import { isDebianLike } from "../facts/os.ts";
import type { Finding } from "../unit.ts";
import { diskName, gigabytes } from "./change.ts";
import { isKnown, valueOf } from "./known.ts";
import type { InventoryFacts } from "./observe.ts";

/** Looks for one thing. */
export type Look = (facts: InventoryFacts) => readonly Finding[];

const memoryHalf: Look = ({ stable }) => {
  const slots = valueOf(stable.memory.slots) ?? [];
  const channels = slots.map((slot) => ({ slot, channel: channelOf(slot) }));
  const filled = channels.filter(({ slot }) => slot.bytes > 0);
  const names = new Set(filled.map(({ channel }) => channel));
  const free = channels.find(
    ({ slot, channel }) => slot.bytes === 0 && channel !== undefined && !names.has(channel),
  );
  if (names.size !== 1 || names.has(undefined) || !free) return [];
  return [
    {
      id: "ram-single-channel",
      level: "warn",
      what: `memory runs on one channel of two: ${free.slot.locator} is empty`,
      why: "a CPU reads the whole model for each token, so a module like the first one in the free channel nearly doubles generation speed",
      evidence: filled.map(({ slot }) => `${slot.locator}: ${gigabytes(slot.bytes)}`).join(", "),
      fix: ["sudo", "dmidecode", "-t", "memory"],
    },
  ];
};

/** The channel that a slot's name tells, e.g. "A" of "ChannelA-DIMM0" or "Controller1-ChannelA"; undefined where the firmware does not name it. */
function channelOf({ locator, bank = "" }: MemorySlot): string | undefined {
  const found = /((?:controller ?\d)?[-_ ]?channel ?[-_]?[a-h0-9])/i.exec(`${locator} ${bank}`);
  return found?.[1]?.toLowerCase();
}

const swapMissing: Look = ({ stable: { memory, os } }) =>
  memory.swap > 0 || memory.total >= 32 * 2 ** 30
    ? []
    : [
        {
          id: "swap-missing",
          level: "info",
          what: `there is no swap beside ${gigabytes(Math.round(memory.total / 2 ** 29) * 2 ** 29)} of memory`,
          why: "the kernel then kills a program the moment a model and its context outgrow memory; compressed swap in memory (zram) softens that",
          evidence: "SwapTotal: 0 in /proc/meminfo",
          fix: isDebianLike(os)
            ? ["sudo", "apt-get", "install", "systemd-zram-generator"]
            : ["swapon", "--show"],
        },
      ];

const homeOnHdd: Look = ({ stable: { disks, homeDisk } }) => {
  const disk = disks.find(({ name, kind }) => kind === "hdd" && name === valueOf(homeDisk));
  if (!disk) return [];
  const faster = disks.find(({ kind }) => kind === "nvme" || kind === "ssd");
  return [
    {
      id: "home-on-hdd",
      level: "info",
      what: `the home, and so every model, stands on the spinning disk ${diskName(disk)}`,
      why: faster
        ? `a 4 GB model loads in about half a minute from there, and in seconds from ${diskName(faster)}`
        : "a 4 GB model loads in about half a minute from there; any SSD does it in seconds",
      evidence: `/sys/block/${disk.name}/queue/rotational`,
      fix: ["lsblk", "-d", "-o", "NAME,ROTA,SIZE,MODEL"],
    },
  ];
};

const diskFailing: Look = ({ stable }) =>
  stable.disks.flatMap((disk) => {
    const smart = valueOf(disk.smart);
    if (!smart || !isFailing(smart)) return [];
    const { passed, reallocated = 0, pending = 0, mediaErrors = 0 } = smart;
    const signs = [
      ...(passed === false ? ["its own verdict is that it fails"] : []),
      ...(pending > 0 ? [`${pending} sectors can't be read`] : []),
      ...(reallocated > 0 ? [`${reallocated} sectors were replaced`] : []),
      ...(mediaErrors > 0 ? [`${mediaErrors} media errors`] : []),
    ];
    return [
      {
        id: `disk-failing-${disk.name}`,
        level: "warn",
        what: `the disk ${diskName(disk)} is on its way out`,
        why: `${signs.join(", ")}: copy what matters from it first, then look closer`,
        evidence: `smartctl -iHA /dev/${disk.name}`,
        fix: ["sudo", "smartctl", "-x", `/dev/${disk.name}`],
      } as const,
    ];
  });

const diskWorn: Look = ({ stable, moving }) =>
  moving.disks.flatMap(({ name, wear }) => {
    const disk = stable.disks.find((one) => one.name === name);
    if (!disk || wear === undefined || wear < 80) return [];
    return [
      {
        id: `disk-worn-${name}`,
        level: "warn",
        what: `${wear} % of the life of ${diskName(disk)} is used up`,
        why: "past 100 % its maker promises nothing; model downloads and builds are what wears it",
        evidence: "percentage used in its SMART log",
        fix: ["sudo", "smartctl", "-x", `/dev/${name}`],
      } as const,
    ];
  });

const driverGone: Look = ({ stable }) =>
  stable.gpus.flatMap((gpu) =>
    gpu.maker !== "nvidia" || isKnown(gpu.driver)
      ? []
      : [
          {
            id: "gpu-without-driver",
            level: "warn",
            what: `${gpu.name} lies idle`,
            why: `${gpu.driver.unknown}; models run on the CPU alone until then`,
            evidence: `${gpu.address}, module ${valueOf(gpu.module) ?? "none"}`,
            fix: ["./bin/01_validate_prereqs"],
          } as const,
        ],
  );

/** Driver branch 580 is the last that knows Maxwell, Pascal and Volta (NVIDIA's release notes of 590). */
const driverTooNew: Look = ({ stable }) =>
  stable.gpus.flatMap((gpu) => {
    const capability = Number(valueOf(gpu.computeCapability)?.value);
    const branch = driverBranch(valueOf(gpu.driver) ?? "");
    if (!(capability < 7.5) || branch === undefined || branch < 590) return [];
    return [
      {
        id: "driver-drops-gpu",
        level: "warn",
        what: `driver ${branch} no longer drives ${gpu.name}`,
        why: `compute capability ${capability} ended with branch 580: go back to it, and hold it there`,
        evidence: `driver ${valueOf(gpu.driver)}`,
        fix: ["./bin/01_validate_prereqs"],
      } as const,
    ];
  });

const linkBelow: Look = ({ stable, moving }) =>
  moving.links.flatMap((link) => {
    const known = stable.links.find(({ address }) => address === link.address);
    const { current } = link;
    const idle = link.state === "unknown" && isKnown(current) && known && isKnown(known.expected);
    if (!known || (link.state !== "below" && !idle)) return [];
    const nvidia = stable.gpus.some(
      ({ address, maker }) => address === link.address && maker === "nvidia",
    );
    return [
      {
        id: `pcie-below-${link.address}`,
        level: link.state === "below" ? "warn" : "unknown",
        what: `the PCIe link of ${known.name} is at ${link.why.split(":")[0]}`,
        why:
          link.state === "below"
            ? "it stays slow under load: models load slower, and layers that are split over CPU and GPU crawl"
            : "it may only be idle; look again while a model runs",
        evidence: `/sys/bus/pci/devices/${link.address}/current_link_speed`,
        fix: nvidia
          ? [
              "nvidia-smi",
              "--query-gpu=pcie.link.gen.gpucurrent,pcie.link.gen.max,pcie.link.width.current,utilization.gpu",
              "--format=csv",
              "-l",
              "1",
            ]
          : ["sudo", "lspci", "-vv", "-s", link.address],
      } as const,
    ];
  });

/** Looks at what is built in. */
export const UNASKED_HARDWARE: readonly Look[] = [
  memoryHalf,
  swapMissing,
  homeOnHdd,
  diskFailing,
  diskWorn,
  driverGone,
  driverTooNew,
  linkBelow,
];
