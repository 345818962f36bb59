/** What changed about disks, GPUs and links. */
import { driverBranch } from "../facts/gpu.ts";
import { linkText } from "../facts/pci.ts";
import { sameDisk } from "./carry.ts";
import { changed, diskName, gain, gigabytes, loss, type Change } from "./change.ts";
import type { Disk, Stable } from "./document.ts";
import { isKnown, valueOf } from "./known.ts";

/** Changes of disks, GPUs and links, in this order. */
export function deviceChanges(before: Stable, now: Stable): readonly Change[] {
  return [
    ...diskChanges(before.disks, now.disks),
    ...gpuChanges(before.gpus, now.gpus),
    ...linkChanges(before.links, now.links),
  ];
}

function diskChanges(before: readonly Disk[], now: readonly Disk[]): readonly Change[] {
  const found: Change[] = [];
  for (const was of before) {
    const is = now.find((one) => sameDisk(was, one));
    if (!is) {
      found.push(loss(`the disk ${diskName(was)} is gone`));
      continue;
    }
    const [old, smart] = [valueOf(was.smart), valueOf(is.smart)];
    if (!old || !smart) continue;
    if (old.passed === true && smart.passed === false) {
      found.push(
        loss(
          `the disk ${diskName(is)} expects to fail: its own verdict (SMART) went from passed to failed`,
        ),
      );
    }
    for (const [key, words] of [
      ["reallocated", "replaced sectors"],
      ["pending", "unreadable sectors"],
      ["mediaErrors", "media errors"],
    ] as const) {
      const [from, to] = [old[key], smart[key]];
      if (from === undefined || to === undefined || from === to) continue;
      const text = `${words} of the disk ${diskName(is)}: ${from} -> ${to}`;
      found.push(to > from ? loss(text) : gain(text));
    }
  }
  for (const is of now) {
    if (!before.some((one) => sameDisk(one, is)))
      found.push(gain(`the disk ${diskName(is)} is new`));
  }
  return found;
}

function gpuChanges(before: Stable["gpus"], now: Stable["gpus"]): readonly Change[] {
  const found: Change[] = [];
  for (const was of before) {
    const is = now.find((one) => one.address === was.address && one.id === was.id);
    if (!is) {
      found.push(loss(`the GPU ${was.name} is gone`));
      continue;
    }
    found.push(...changed(`driver of ${is.name}`, was.driver, is.driver, shortDriver));
    if (isKnown(was.driver) && !isKnown(is.driver)) {
      found.push(loss(`the driver of ${is.name} is gone: ${is.driver.unknown}`));
    }
    if (!isKnown(was.driver) && isKnown(is.driver)) {
      found.push(gain(`${is.name} has a driver now: ${is.driver}`));
    }
    found.push(...changed(`kernel module of ${is.name}`, was.module, is.module));
    found.push(...changed(`VRAM of ${is.name}`, was.vram, is.vram, gigabytes));
  }
  for (const is of now) {
    if (!before.some((one) => one.address === is.address && one.id === is.id)) {
      found.push(gain(`the GPU ${is.name} is new`));
    }
  }
  return found;
}

/** "535.183.01" -> "535" where that tells them apart. */
function shortDriver(version: string, other: string): string {
  const [branch, further] = [driverBranch(version), driverBranch(other)];
  return branch !== undefined && branch !== further ? String(branch) : version;
}

function linkChanges(before: Stable["links"], now: Stable["links"]): readonly Change[] {
  return before.flatMap((was) => {
    const is = now.find(({ address }) => address === was.address);
    if (!is || !isKnown(was.expected) || !isKnown(is.expected)) return [];
    const [from, to] = [linkText(was.expected), linkText(is.expected)];
    if (from === to) return [];
    const text = `the PCIe link of ${is.name} can reach ${to}, where it was ${from}`;
    return [
      is.expected.speed * is.expected.width < was.expected.speed * was.expected.width
        ? loss(text)
        : gain(text),
    ];
  });
}
