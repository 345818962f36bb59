/** Reads graphics processors and the PCI Express links of what matters for models: GPUs and NVMe disks. */
import {
  boardName,
  computeCapabilityOf,
  isDisplay,
  NVIDIA_FIELDS,
  parseLspci,
  parseNvidiaSmi,
  parseNvidiaVersion,
  type NvidiaGpu,
} from "../facts/gpu.ts";
import { filled, gapless, whole } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import type { Gpu, Moving, PciLink } from "./document.ts";
import { absent, type Known } from "./known.ts";
import { DEVICES, linkNow, linkOf } from "./observe_links.ts";

/** What there is to know of GPUs and links. */
export interface PciSeen {
  readonly gpus: readonly Gpu[];
  readonly links: readonly PciLink[];
  readonly moving: Pick<Moving, "gpus" | "links">;
}

interface Device {
  readonly address: string;
  readonly class: string;
  readonly id: string;
}

/** Reads all display controllers and NVMe controllers on the PCI bus. */
export async function observePci(probe: Probe): Promise<PciSeen> {
  const devices = probe.list(DEVICES).map((address) => deviceAt(probe, address));
  const displays = devices.filter((device) => isDisplay(device.class));
  const linked = devices.filter(
    ({ class: kind }) => isDisplay(kind) || kind === "0108", // 0108: NVMe controllers (PCI code and ID assignment)
  );
  const names = linked.length > 0 ? await lspciNames(probe) : new Map<string, string>();
  const nvidia = displays.some(({ id }) => id.startsWith("10de:")) ? await askNvidia(probe) : [];
  const told = (address: string) => nvidia.find((one) => one.address === address);
  const gpus = displays.map((device) =>
    gpuOf(probe, device, names.get(device.address), told(device.address)),
  );
  const links = linked.flatMap((device) =>
    linkOf(
      probe,
      device.address,
      told(device.address)?.name ?? names.get(device.address) ?? device.id,
    ),
  );
  return {
    gpus,
    links,
    moving: {
      gpus: displays.map(({ address }) => ({ address, ...gpuNow(probe, address, told(address)) })),
      links: links.map((link) => linkNow(probe, link, told(link.address)?.busy)),
    },
  };
}

function deviceAt(probe: Probe, address: string): Device {
  const hex = (file: string) =>
    /^0x([0-9a-f]+)$/.exec(probe.text(`${DEVICES}/${address}/${file}`)?.trim() ?? "")?.[1] ?? "";
  return {
    address,
    class: hex("class").slice(0, 4),
    id: `${hex("vendor")}:${hex("device")}`,
  };
}

async function lspciNames(probe: Probe): Promise<ReadonlyMap<string, string>> {
  if (probe.which("lspci") === undefined) return new Map();
  const ran = await probe.run(["lspci", "-D", "-nn"]);
  return new Map(parseLspci(ran.stdout).map(({ address, name }) => [address, name]));
}

/** What nvidia-smi tells of all cards. An old one that refuses the field `compute_cap` is asked again without it. */
export async function askNvidia(probe: Probe): Promise<readonly NvidiaGpu[]> {
  if (probe.which("nvidia-smi") === undefined) return [];
  for (const fields of [NVIDIA_FIELDS, NVIDIA_FIELDS.filter((one) => one !== "compute_cap")]) {
    const query = `--query-gpu=${fields.join(",")}`;
    const ran = await probe.run(["nvidia-smi", query, "--format=csv"], { timeout: 20_000 });
    const found = parseNvidiaSmi(ran.stdout);
    if (found.length > 0 || ran.timedOut) return found;
  }
  return [];
}

const MAKERS: Readonly<Record<string, Gpu["maker"]>> = {
  "10de": "nvidia",
  "8086": "intel",
  "1002": "amd",
  "1af4": "virtual",
  "1234": "virtual",
  "15ad": "virtual",
  "1b36": "virtual",
};

function gpuOf(
  probe: Probe,
  { address, id }: Device,
  listed: string | undefined,
  told: NvidiaGpu | undefined,
): Gpu {
  const maker = MAKERS[id.slice(0, 4)] ?? "other";
  const module = probe.real(`${DEVICES}/${address}/driver`)?.split("/").at(-1);
  return {
    address,
    id,
    maker,
    // lspci calls what it does not know "Device"
    name:
      told?.name ?? (listed === "Device" ? undefined : listed) ?? boardName(id) ?? `device ${id}`,
    module: module ?? absent("no kernel module drives it"),
    driver: maker === "nvidia" ? nvidiaDriver(probe, module, told) : kernelsOwn(),
    vram: vramOf(probe, address, maker, told),
    computeCapability: capabilityOf(id, maker, told),
  };
}

function nvidiaDriver(
  probe: Probe,
  module: string | undefined,
  told: NvidiaGpu | undefined,
): Known<string> {
  const loaded =
    parseNvidiaVersion(probe.text("/proc/driver/nvidia/version") ?? "") ??
    filled(probe.text("/sys/module/nvidia/version"));
  return (
    told?.driver ??
    loaded ??
    absent(
      module === "nouveau"
        ? "nouveau drives it, and CUDA needs NVIDIA's own driver"
        : "NVIDIA's driver is not loaded",
    )
  );
}

function kernelsOwn(): Known<string> {
  return absent("its driver is part of the kernel");
}

function vramOf(
  probe: Probe,
  address: string,
  maker: Gpu["maker"],
  told: NvidiaGpu | undefined,
): Known<number> {
  if (told?.vram !== undefined) return told.vram;
  // amdgpu, since Linux 4.12 (Documentation/gpu/amdgpu)
  const amd = whole(probe.text(`${DEVICES}/${address}/mem_info_vram_total`));
  if (amd !== undefined) return amd;
  if (maker === "intel") return absent("it shares the machine's memory");
  if (maker === "nvidia") return absent("only NVIDIA's driver tells (nvidia-smi)");
  return absent("its driver does not tell");
}

function capabilityOf(
  id: string,
  maker: Gpu["maker"],
  told: NvidiaGpu | undefined,
): Gpu["computeCapability"] {
  if (told?.computeCapability !== undefined) {
    return { value: told.computeCapability, from: "nvidia-smi" };
  }
  const listed = computeCapabilityOf(id);
  if (listed !== undefined) return { value: listed, from: `PCI id ${id}` };
  return absent(
    maker === "nvidia" ? "nvidia-smi does not tell, and the id is not listed" : "no CUDA here",
  );
}

/** What a GPU does now: by nvidia-smi, or by i915 in sysfs (Linux, drivers/gpu/drm/i915/gt/intel_gt_sysfs_pm.c). */
function gpuNow(
  probe: Probe,
  address: string,
  told: NvidiaGpu | undefined,
): Omit<Moving["gpus"][number], "address"> {
  if (told) {
    const { vramUsed, celsius, state, busy, watts, megahertz } = told;
    return gapless({
      vramUsed,
      celsius,
      state,
      busy,
      watts: watts?.current,
      megahertz: megahertz?.current,
      maxMegahertz: megahertz?.max,
    });
  }
  const drm = `${DEVICES}/${address}/drm`;
  const card = probe.list(drm).find((name) => /^card\d+$/.test(name));
  if (card === undefined) return {};
  const gt = `${drm}/${card}/gt/gt0`;
  const slowedBy = probe
    .list(gt)
    .filter((name) => name.startsWith("throttle_reason_") && name !== "throttle_reason_status")
    .filter((name) => probe.text(`${gt}/${name}`)?.trim() === "1")
    .map((name) => name.slice("throttle_reason_".length));
  return gapless({
    megahertz: whole(probe.text(`${gt}/rps_act_freq_mhz`)),
    maxMegahertz: whole(probe.text(`${gt}/rps_RP0_freq_mhz`)),
    slowedBy: slowedBy.length > 0 ? slowedBy : undefined,
  });
}
