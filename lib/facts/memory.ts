/** Memory: /proc/meminfo, swap, and the modules that the firmware lists. */
import { gapless, pairs, saidByFirmware, whole } from "./text.ts";

/** What /proc/meminfo tells, in bytes. */
export interface Meminfo {
  /** Memory that the kernel manages: less than what is fitted, by what firmware and an integrated GPU keep. */
  readonly total: number;
  /** What a new program can have without swapping, by the kernel's estimate. */
  readonly available: number;
  readonly swapTotal: number;
  readonly swapFree: number;
}

/** Reads /proc/meminfo; undefined where it names no total. Kernels before 3.14 have no estimate: free, buffers and cache stand in. */
export function parseMeminfo(text: string): Meminfo | undefined {
  const found = pairs(text, ":");
  const bytes = (key: string) => {
    const value = /^(\d+) kB$/.exec(found.get(key) ?? "");
    const kib = whole(value?.[1]);
    return kib === undefined ? undefined : kib * 1024;
  };
  const total = bytes("MemTotal");
  if (total === undefined) return undefined;
  const old = (bytes("MemFree") ?? 0) + (bytes("Buffers") ?? 0) + (bytes("Cached") ?? 0);
  return {
    total,
    available: bytes("MemAvailable") ?? Math.min(old, total),
    swapTotal: bytes("SwapTotal") ?? 0,
    swapFree: bytes("SwapFree") ?? 0,
  };
}

/** One slot for memory, as the firmware's table (SMBIOS type 17) names it. */
export interface MemorySlot {
  readonly locator: string;
  readonly bank?: string;
  /** Bytes fitted; 0 for an empty slot. */
  readonly bytes: number;
  readonly type?: string;
  readonly formFactor?: string;
  /** Mega-transfers per second that it runs at. */
  readonly speed?: number;
  readonly manufacturer?: string;
  readonly part?: string;
}

/** Reads `dmidecode -t memory` (dmidecode 3.x). No tables found: []. Sizes are binary units there. */
export function parseDmiMemory(text: string): readonly MemorySlot[] {
  const slots: MemorySlot[] = [];
  for (const block of text.split(/\n(?=Handle 0x)/)) {
    if (!/^Memory Device$/m.test(block)) continue;
    const found = pairs(block, ":");
    const size = dmiSize(found.get("Size"));
    if (size === undefined) continue;
    const speed = /^(\d+) MT\/s/.exec(
      saidByFirmware(found.get("Configured Memory Speed")) ??
        saidByFirmware(found.get("Speed")) ??
        "",
    );
    const entries = {
      bank: saidByFirmware(found.get("Bank Locator")),
      type: saidByFirmware(found.get("Type")),
      formFactor: saidByFirmware(found.get("Form Factor")),
      speed: whole(speed?.[1]),
      manufacturer: saidByFirmware(found.get("Manufacturer")),
      part: saidByFirmware(found.get("Part Number")),
    };
    slots.push({
      locator: found.get("Locator") ?? "",
      bytes: size,
      ...gapless(entries),
    });
  }
  return slots;
}

const UNIT: Readonly<Record<string, number>> = {
  kB: 2 ** 10,
  MB: 2 ** 20,
  GB: 2 ** 30,
  TB: 2 ** 40,
};

function dmiSize(text: string | undefined): number | undefined {
  if (text === "No Module Installed") return 0;
  const found = /^(\d{1,9}) (kB|MB|GB|TB)$/.exec(text ?? "");
  const unit = UNIT[found?.[2] ?? ""];
  return found && unit !== undefined ? Number(found[1]) * unit : undefined;
}
