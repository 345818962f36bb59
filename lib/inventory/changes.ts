/** What changed between two takings of the inventory, in plain words. */
import { vulnerabilityState } from "../facts/kernel.ts";
import { changed, gain, gigabytes, loss, type Change } from "./change.ts";
import { deviceChanges } from "./changes_devices.ts";
import type { Stable } from "./document.ts";
import { isKnown, valueOf, type Known } from "./known.ts";

/** All changes, the gravest kind of thing first. Facts that are unknown on either side change nothing. */
export function changesBetween(before: Stable, now: Stable): readonly Change[] {
  if (isSame(before, now)) return [];
  const found = [
    ...memoryChanges(before.memory, now.memory),
    ...deviceChanges(before, now),
    ...cpuChanges(before.cpu, now.cpu),
    ...machineChanges(before, now),
  ];
  return found.length > 0 ? found : [gain(`details differ: ${differing(before, now).join(", ")}`)];
}

/** True where two takings show the same machine. */
export function isSame(before: Stable, now: Stable): boolean {
  return Bun.deepEquals(before, now);
}

function memoryChanges(before: Stable["memory"], now: Stable["memory"]): readonly Change[] {
  const found: Change[] = [];
  const slots = fittedIn(before.slots, now.slots);
  const managed = [halfGigabytes(before.total), halfGigabytes(now.total)] as const;
  const [was, is] = slots ?? managed;
  if (was !== is) {
    const difference = gigabytes(Math.abs(was - is));
    const both = `${gigabytes(was)} -> ${gigabytes(is)}`;
    found.push(
      is < was
        ? loss(`${difference} of RAM are gone: ${both}`)
        : gain(`${difference} of RAM are new: ${both}`),
    );
    for (const slot of valueOf(before.slots) ?? []) {
      const same = valueOf(now.slots)?.find(({ locator }) => locator === slot.locator);
      if (slot.bytes > 0 && same?.bytes === 0) {
        found.push(loss(`the slot ${slot.locator} is empty now`));
      }
    }
  } else if (managed[0] !== managed[1]) {
    const text = `of the ${gigabytes(is)} of RAM that are fitted the kernel manages ${gigabytes(managed[1])}, where it was ${gigabytes(managed[0])}`;
    found.push(managed[1] < managed[0] ? loss(text) : gain(text));
  }
  if (before.swap !== now.swap) {
    const both = `swap ${gigabytes(before.swap)} -> ${gigabytes(now.swap)}`;
    found.push(now.swap < before.swap ? loss(both) : gain(both));
  }
  return found;
}

/** Bytes in all slots before and now; undefined unless both are known, for the kernel's own totals are less than what is fitted. */
function fittedIn(
  before: Stable["memory"]["slots"],
  now: Stable["memory"]["slots"],
): readonly [number, number] | undefined {
  const [was, is] = [before, now].map((slots) =>
    (valueOf(slots) ?? []).reduce((sum, slot) => sum + slot.bytes, 0),
  );
  return was && is ? [was, is] : undefined;
}

/** The kernel's total, up to the next half GB: firmware and an integrated GPU keep the rest. */
function halfGigabytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 29) * 2 ** 29;
}

function cpuChanges(before: Stable["cpu"], now: Stable["cpu"]): readonly Change[] {
  const found: Change[] = [
    ...changed("processor", before.model, now.model),
    ...changed("microcode", before.microcode, now.microcode),
    ...changed("microcode package", before.microcodePackage, now.microcodePackage),
    ...changed("frequency driver", before.driver, now.driver),
  ];
  if (before.logical !== now.logical) {
    const text = `logical processors ${before.logical} -> ${now.logical}`;
    found.push(now.logical < before.logical ? loss(text) : gain(text));
  }
  const gone = before.isa.filter((flag) => !now.isa.includes(flag));
  const fresh = now.isa.filter((flag) => !before.isa.includes(flag));
  if (gone.length > 0) found.push(loss(`the processor no longer offers ${gone.join(", ")}`));
  if (fresh.length > 0) found.push(gain(`the processor now offers ${fresh.join(", ")}`));
  const [old, known] = [valueOf(before.vulnerabilities), valueOf(now.vulnerabilities)];
  for (const [name, said] of Object.entries(known ?? {})) {
    const [was, is] = [vulnerabilityState(old?.[name] ?? ""), vulnerabilityState(said)];
    if (old === undefined || was === is) continue;
    if (is === "vulnerable") found.push(loss(`the processor is now open to ${name}: ${said}`));
    else if (was === "vulnerable") found.push(gain(`the processor is no longer open to ${name}`));
  }
  return found;
}

function machineChanges(before: Stable, now: Stable): readonly Change[] {
  const found: Change[] = [
    ...changed("machine", before.machine.product, now.machine.product),
    ...changed("firmware", bios(before), bios(now)),
    ...changed("runs in", before.machine.virtual, now.machine.virtual),
    ...changed("kernel", before.os.kernel, now.os.kernel),
    ...changed("kernel lockdown", before.os.lockdown, now.os.lockdown),
    ...changed("security modules", joined(before.os.lsm), joined(now.os.lsm)),
  ];
  if (before.os.name !== now.os.name)
    found.push(gain(`system ${before.os.name} -> ${now.os.name}`));
  const [was, is] = [valueOf(before.firmware.secureBoot), valueOf(now.firmware.secureBoot)];
  if (was !== undefined && is !== undefined && was !== is) {
    const text = `Secure Boot ${was} -> ${is}`;
    found.push(was === "on" ? loss(text) : gain(text));
  }
  if (isKnown(before.firmware.tpm) && !isKnown(now.firmware.tpm))
    found.push(loss("the TPM is gone"));
  if (!isKnown(before.firmware.tpm) && isKnown(now.firmware.tpm)) found.push(gain("a TPM is new"));
  const [old, line] = [valueOf(before.os.cmdline) ?? [], valueOf(now.os.cmdline) ?? []];
  const gone = old.filter((one) => !line.includes(one));
  const fresh = line.filter((one) => !old.includes(one));
  if (gone.length > 0)
    found.push(gain(`no longer on the kernel's command line: ${gone.join(" ")}`));
  if (fresh.length > 0) found.push(gain(`new on the kernel's command line: ${fresh.join(" ")}`));
  return found;
}

function bios(stable: Stable): Known<string> {
  const { bios: said } = stable.machine;
  return isKnown(said) ? said.version : said;
}

function joined(list: Known<readonly string[]>): Known<string> {
  return isKnown(list) ? list.join(",") : list;
}

/** Places of the facts that differ, e.g. "memory.slots"; a fact that is known on one side alone is one. */
function differing(before: unknown, now: unknown, at = ""): readonly string[] {
  if (Bun.deepEquals(before, now)) return [];
  const inside = isOpen(before) && isOpen(now);
  if (!inside) return [at];
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].flatMap((key) =>
    differing(before[key], now[key], at === "" ? key : `${at}.${key}`),
  );
}

function isOpen(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && isKnown(value);
}
