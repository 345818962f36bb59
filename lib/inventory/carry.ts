/**
 * Keeps an inventory steady where only the view changed: what root saw stays known to a later run as a user, as long as nothing that a user
 * can see contradicts it.
 */
import type { Disk, Stable } from "./document.ts";
import { isKnown, type Known } from "./known.ts";

/** Relative difference up to which two totals of memory are one: each kernel keeps a little more or less for itself. */
const SAME_MEMORY = 0.02;

/** `now`, completed from `before`. */
export function carryOver(before: Stable, now: Stable): Stable {
  const sameMemory =
    Math.abs(before.memory.total - now.memory.total) <= before.memory.total * SAME_MEMORY;
  return {
    ...now,
    machine: { ...now.machine, virtual: kept(before.machine.virtual, now.machine.virtual) },
    memory: sameMemory
      ? {
          ...now.memory,
          total: before.memory.total,
          slots: kept(before.memory.slots, now.memory.slots),
        }
      : now.memory,
    disks: now.disks.map((disk) => {
      const same = before.disks.find((one) => sameDisk(one, disk));
      return same ? { ...disk, smart: kept(same.smart, disk.smart) } : disk;
    }),
    firmware: {
      ...now.firmware,
      secureBoot: kept(before.firmware.secureBoot, now.firmware.secureBoot),
    },
    os: {
      ...now.os,
      lockdown: kept(before.os.lockdown, now.os.lockdown),
      lsm: kept(before.os.lsm, now.os.lsm),
    },
  };
}

/** True for two views of one disk: by its mark, else by model, size and name. */
export function sameDisk(one: Disk, other: Disk): boolean {
  if (isKnown(one.mark) && isKnown(other.mark)) return one.mark === other.mark;
  const model = (disk: Disk) => (isKnown(disk.model) ? disk.model : "");
  return one.name === other.name && one.bytes === other.bytes && model(one) === model(other);
}

/** The earlier value where the new one is hidden from us, and only then: what is gone is gone. */
function kept<T>(before: Known<T>, now: Known<T>): Known<T> {
  if (isKnown(now) || (now.because !== "denied" && now.because !== "asleep")) return now;
  return isKnown(before) || before.because === "denied" ? before : now;
}
