/** Recorded outputs of real machines; where each comes from stands in tests/fixtures/hardware/SOURCE.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseLink, type Link } from "../../lib/facts/pci.ts";

const FOLDER = join(import.meta.dir, "..", "fixtures", "hardware");

/** The text of one recording. */
export function recorded(name: string): string {
  return readFileSync(join(FOLDER, name), "utf8");
}

/**
 * A whole /proc/cpuinfo from one recorded block: one block per entry of `cores`, which holds the core each thread runs on.
 * Only "processor", "core id" and the counts differ between the threads of a machine.
 */
export function cpuinfoOf(block: string, cores: readonly number[]): string {
  return cores
    .map((core, cpu) =>
      block
        .replace(/^processor\t: .*$/m, `processor\t: ${cpu}`)
        .replace(/^core id\t\t: .*$/m, `core id\t\t: ${core}`),
    )
    .join("\n");
}

/** Core ids of an i7-1260P: four fast cores with two threads each, then eight frugal ones (Alder Lake-P numbers a fast core every four ids). */
export const ALDER_LAKE_P = [0, 0, 4, 4, 8, 8, 12, 12, 16, 17, 18, 19, 20, 21, 22, 23] as const;

/** A /proc/cpuinfo of the shadow's processor, from the flags that lscpu recorded on one. */
export function shadowCpuinfo(): string {
  const lscpu = recorded("i7-7700hq.lscpu");
  const value = (key: string) => new RegExp(`^${key}:\\s+(.*)$`, "m").exec(lscpu)?.[1] ?? "";
  const block = [
    "processor\t: 0",
    `vendor_id\t: ${value("Vendor ID")}`,
    `cpu family\t: ${value("CPU family")}`,
    `model\t\t: ${value("Model")}`,
    `model name\t: ${value("Model name")}`,
    `stepping\t: ${value("Stepping")}`,
    "microcode\t: 0xf4",
    "physical id\t: 0",
    "core id\t\t: 0",
    `flags\t\t: ${value("Flags")}`,
    "",
  ].join("\n");
  return cpuinfoOf(block, [0, 1, 2, 3, 0, 1, 2, 3]);
}

/** Links of each device in a recorded `lspci -vv`, by its address as written there: what sysfs shows as max and current. As a user lspci hides them. */
export function recordedLinks(
  text: string,
): ReadonlyMap<string, { readonly max: Link; readonly current?: Link }> {
  const found = new Map<string, { readonly max: Link; readonly current?: Link }>();
  let address = "";
  for (const line of text.split("\n")) {
    address = /^([0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?= )/i.exec(line)?.[0] ?? address;
    const told = line.trimStart();
    if (told.startsWith("LnkCap:")) {
      const max = lineLink(told);
      if (max) found.set(address, { max });
    } else if (told.startsWith("LnkSta:")) {
      const before = found.get(address);
      const current = lineLink(told);
      if (before && current) found.set(address, { max: before.max, current });
    }
  }
  return found;
}

function lineLink(line: string): Link | undefined {
  const speed = /Speed ([\d.]{1,8})GT\/s/.exec(line)?.[1];
  return parseLink(`${speed} GT/s`, /Width x(\d{1,3})/.exec(line)?.[1]);
}
