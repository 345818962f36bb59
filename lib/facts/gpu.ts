/** Graphics processors: nvidia-smi, lspci, and what a PCI id alone tells. */
import { decimal, filled, gapless, whole } from "./text.ts";

/** Fields asked of nvidia-smi, in its own names. `compute_cap` came with driver 510: leave it out where nvidia-smi refuses it. */
export const NVIDIA_FIELDS = [
  "index",
  "name",
  "uuid",
  "pci.bus_id",
  "pci.device_id",
  "driver_version",
  "vbios_version",
  "memory.total",
  "memory.used",
  "compute_cap",
  "pcie.link.gen.gpucurrent",
  "pcie.link.gen.max",
  "pcie.link.width.current",
  "pcie.link.width.max",
  "temperature.gpu",
  "pstate",
  "clocks.sm",
  "clocks.max.sm",
  "power.draw",
  "power.limit",
  "utilization.gpu",
] as const;

/** One card as nvidia-smi tells it. */
export interface NvidiaGpu {
  readonly name: string;
  /** As Linux writes it: "0000:01:00.0". */
  readonly address?: string;
  /** "10de:1c8c" */
  readonly id?: string;
  readonly driver?: string;
  readonly vbios?: string;
  /** Bytes of its own memory. */
  readonly vram?: number;
  readonly vramUsed?: number;
  /** e.g. "6.1" */
  readonly computeCapability?: string;
  readonly linkGeneration?: { readonly current?: number; readonly max?: number };
  readonly linkWidth?: { readonly current?: number; readonly max?: number };
  readonly celsius?: number;
  /** "P0" is full speed, "P8" idle. */
  readonly state?: string;
  readonly megahertz?: { readonly current?: number; readonly max?: number };
  readonly watts?: { readonly current?: number; readonly limit?: number };
  /** Percent of the last sampling period in which it worked. */
  readonly busy?: number;
}

/**
 * Reads `nvidia-smi --query-gpu=… --format=csv` with or without `nounits`. Columns are found by their headings, so any fields in any order do;
 * "[N/A]", "[Not Supported]", "[Unknown Error]" and what is no number are left out. Text that has no such heading: [].
 */
export function parseNvidiaSmi(text: string): readonly NvidiaGpu[] {
  const rows = text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== "")
    .map((line) => line.split(/,\s*/));
  const at = rows.findIndex((row) => row.some((cell) => heading(cell) === "name"));
  if (at < 0) return [];
  const headings = (rows[at] ?? []).map(heading);
  const found: NvidiaGpu[] = [];
  for (const row of rows.slice(at + 1)) {
    if (row.length !== headings.length) continue;
    const cell = (name: string) => told(row[headings.indexOf(name)]);
    const amount = (name: string) => decimal(cell(name)?.replace(/ (MiB|MHz|W|%|C)$/, ""));
    const name = cell("name");
    if (name === undefined) continue;
    const mebibytes = (field: string) => {
      const value = amount(field);
      return value === undefined || value < 0 ? undefined : value * 2 ** 20;
    };
    const capability = cell("compute_cap");
    found.push(
      gapless({
        name,
        address: busAddress(cell("pci.bus_id")),
        id: deviceId(cell("pci.device_id")),
        driver: cell("driver_version"),
        vbios: cell("vbios_version"),
        vram: mebibytes("memory.total"),
        vramUsed: mebibytes("memory.used"),
        computeCapability: capability && /^\d{1,2}\.\d$/.test(capability) ? capability : undefined,
        linkGeneration: gapless({
          current: whole(cell("pcie.link.gen.gpucurrent") ?? cell("pcie.link.gen.current")),
          max: whole(cell("pcie.link.gen.max")),
        }),
        linkWidth: gapless({
          current: whole(cell("pcie.link.width.current")),
          max: whole(cell("pcie.link.width.max")),
        }),
        celsius: amount("temperature.gpu"),
        state: cell("pstate"),
        megahertz: gapless({ current: amount("clocks.sm"), max: amount("clocks.max.sm") }),
        watts: gapless({ current: amount("power.draw"), limit: amount("power.limit") }),
        busy: amount("utilization.gpu"),
      }) as NvidiaGpu,
    );
  }
  return found;
}

/** One function of a PCI device. */
export interface PciName {
  /** "0000:01:00.0" */
  readonly address: string;
  /** Class, e.g. "0300". */
  readonly class: string;
  readonly className: string;
  /** "10de:1c8c" */
  readonly id: string;
  /** Maker and device as the pci.ids list names them. */
  readonly name: string;
}

/**
 * Reads `lspci -nn` and the heads of `lspci -vvnn`, or the quoted form `lspci -mm -nn` (pciutils 3.x), with `-D` or without.
 * Lines of another shape are left out.
 */
export function parseLspci(text: string): readonly PciName[] {
  const found: PciName[] = [];
  for (const line of text.split("\n")) {
    const one = line.includes('"') ? quotedLine(line) : plainLine(line);
    if (one) found.push(one);
  }
  return found;
}

/** `01:00.0 "VGA compatible controller [0300]" "NVIDIA Corporation [10de]" "GP107 [1c82]" …` */
function quotedLine(line: string): PciName | undefined {
  const address = busAddress(/^\S+/.exec(line)?.[0]);
  const quoted = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? "");
  const [kind, vendor, device] = quoted.slice(0, 3).map(nameAndId);
  if (!address || !kind || !vendor || !device) return undefined;
  const name = `${vendor.name} ${device.name}`;
  return { address, class: kind.id, className: kind.name, id: `${vendor.id}:${device.id}`, name };
}

/** `01:00.0 3D controller [0302]: NVIDIA Corporation GP107M [GeForce GTX 1050 Ti Mobile] [10de:1c8c] (rev a1)` */
function plainLine(line: string): PciName | undefined {
  const found =
    /^(\S+) (.{1,80}?) \[([0-9a-f]{4})\]: (.{1,300}) \[([0-9a-f]{4}:[0-9a-f]{4})\](?: \(rev [0-9a-f]{2}\))?(?: \(prog-if [^)]*\))?\s*$/.exec(
      line,
    );
  const address = busAddress(found?.[1]);
  if (!found || !address) return undefined;
  return {
    address,
    class: found[3] ?? "",
    className: found[2] ?? "",
    id: found[5] ?? "",
    name: found[4] ?? "",
  };
}

/** True for a display controller's PCI class (03xx): VGA, 3D, other. */
export function isDisplay(pciClass: string): boolean {
  return pciClass.startsWith("03");
}

/**
 * Compute capability that follows from a PCI id, where the driver cannot be asked. Device names: the pci.ids list; capabilities: NVIDIA's list of
 * CUDA GPUs. Every GP107 (GeForce GTX 1050 and 1050 Ti, desktop and mobile) is 6.1.
 */
export function computeCapabilityOf(id: string): string | undefined {
  return GP107.has(id) ? "6.1" : undefined;
}

/** Boards that pci.ids names GP107 and GeForce GTX 1050 or 1050 Ti. 1c82 is the GTX 1050 Ti, 1c8c the GTX 1050 Ti Mobile. */
const GP107: ReadonlySet<string> = new Set(
  ["1c81", "1c82", "1c83", "1c8c", "1c8d", "1c8f", "1c91", "1c92"].map(
    (device) => `10de:${device}`,
  ),
);

/** Names of the boards that the shelter is built for, where neither the driver nor lspci is there to ask (pci.ids). */
export function boardName(id: string): string | undefined {
  return { "10de:1c82": "GeForce GTX 1050 Ti", "10de:1c8c": "GeForce GTX 1050 Ti Mobile" }[id];
}

/** The architecture's name from a compute capability, where it decides which CUDA and driver serve it. */
export function nvidiaArchitecture(capability: string): string | undefined {
  const [major = 0, minor = 0] = capability.split(".").map(Number);
  if (major === 5) return "Maxwell";
  if (major === 6) return "Pascal";
  if (major === 7) return minor < 5 ? "Volta" : "Turing";
  if (major === 8) return minor < 9 ? "Ampere" : "Ada";
  if (major === 9) return "Hopper";
  return major === 10 || major === 12 ? "Blackwell" : undefined;
}

/** The version in /proc/driver/nvidia/version, e.g. "535.183.01". */
export function parseNvidiaVersion(text: string): string | undefined {
  return /^NVRM version:.*?\s(\d{3,4}\.\d{1,4}(?:\.\d{1,4})?)\s/m.exec(text)?.[1];
}

/** A driver's branch: "535.183.01" -> 535. */
export function driverBranch(version: string): number | undefined {
  return whole(/^(\d{3,4})\./.exec(version)?.[1]);
}

/** "00000000:01:00.0", "0000:01:00.0" and "01:00.0" as Linux names the device; undefined for what is none. */
export function busAddress(text: string | undefined): string | undefined {
  const found = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$/i.exec(text?.trim() ?? "");
  return found ? `${(found[1] ?? "0000").slice(-4)}:${found[2]}`.toLowerCase() : undefined;
}

/** nvidia-smi's "0x1C8C10DE" (device, then vendor) -> "10de:1c8c". */
function deviceId(text: string | undefined): string | undefined {
  const found = /^0x([0-9a-f]{4})([0-9a-f]{4})$/i.exec(text ?? "");
  return found ? `${found[2]}:${found[1]}`.toLowerCase() : undefined;
}

function heading(cell: string): string {
  return (cell.split(" [")[0] ?? "").trim();
}

/** A cell that says something; nvidia-smi puts what it cannot tell in brackets. */
function told(cell: string | undefined): string | undefined {
  const value = filled(cell);
  return value === undefined || /^\[.*\]$|^N\/A$/.test(value) ? undefined : value;
}

/** "NVIDIA Corporation [10de]" -> both parts. Names may hold brackets of their own: the last pair is the id. */
function nameAndId(text: string): { name: string; id: string } | undefined {
  const found = /^(.*) \[([0-9a-f]{4})\]$/.exec(text);
  return found ? { name: (found[1] ?? "").trim(), id: found[2] ?? "" } : undefined;
}
