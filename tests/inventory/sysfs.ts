/** Builders of sysfs trees for fake machines. */
import type { FakeFile } from "../support/fake_machine.ts";
import { recorded } from "../facts/fixtures.ts";

export type Files = Record<string, FakeFile>;
export const CPUS = "/sys/devices/system/cpu";

/** One PCI function at its place below the bridges above it, as sysfs has it: a folder, and a link from the bus. */
export function pci(
  path: readonly string[],
  facts: Readonly<Record<string, string>>,
  driver?: string,
): Files {
  const address = path.at(-1) ?? "";
  const folder = `/sys/devices/pci0000:00/${path.join("/")}`;
  const files: Files = {
    [`/sys/bus/pci/devices/${address}`]: { link: `../../../devices/pci0000:00/${path.join("/")}` },
  };
  for (const [name, text] of Object.entries(facts)) files[`${folder}/${name}`] = `${text}\n`;
  if (driver !== undefined) {
    files[`/sys/bus/pci/drivers/${driver}`] = { folder: true };
    const up = "../".repeat(path.length + 2);
    files[`${folder}/driver`] = { link: `${up}bus/pci/drivers/${driver}` };
  }
  return files;
}

/** One built-in disk at its place, and its partition 1 as device `major:minor`. */
export function disk(
  name: string,
  place: string,
  device: string,
  facts: Readonly<Record<string, string>>,
): Files {
  const folder = `/sys/devices/${place}/block/${name}`;
  const part = name.startsWith("nvme") ? `${name}p1` : `${name}1`;
  const files: Files = {
    [`/sys/block/${name}`]: { link: `../devices/${place}/block/${name}` },
    [`${folder}/${part}/partition`]: "1\n",
    [`/sys/dev/block/${device}`]: { link: `../../devices/${place}/block/${name}/${part}` },
  };
  for (const [file, text] of Object.entries(facts)) files[`${folder}/${file}`] = `${text}\n`;
  return files;
}

/** The firmware's words in sysfs, from a recorded dmidecode. */
export function dmi(recording: string): Files {
  const text = recorded(recording);
  const block = (title: string) =>
    text.split("\n\n").find((one) => one.includes(`\n${title}\n`)) ?? "";
  const value = (title: string, key: string) =>
    new RegExp(`^\t${key}: (.*)$`, "m").exec(block(title))?.[1] ?? "";
  const at = "/sys/class/dmi/id";
  return {
    "/sys/firmware/dmi/tables/DMI": { text: "", mode: 0o400 },
    [`${at}/sys_vendor`]: value("System Information", "Manufacturer"),
    [`${at}/product_name`]: value("System Information", "Product Name"),
    [`${at}/product_family`]: value("System Information", "Family"),
    [`${at}/board_name`]: value("Base Board Information", "Product Name"),
    [`${at}/bios_vendor`]: value("BIOS Information", "Vendor"),
    [`${at}/bios_version`]: value("BIOS Information", "Version"),
    [`${at}/bios_date`]: value("BIOS Information", "Release Date"),
  };
}

/** The caches that one logical processor names. */
export function caches(
  cpu: number,
  list: readonly (readonly [level: number, type: string, size: string, shared: string])[],
): Files {
  const files: Files = {};
  for (const [index, [level, type, size, shared]] of list.entries()) {
    const at = `${CPUS}/cpu${cpu}/cache/index${index}`;
    files[`${at}/level`] = `${level}\n`;
    files[`${at}/type`] = `${type}\n`;
    files[`${at}/size`] = `${size}\n`;
    files[`${at}/shared_cpu_list`] = `${shared}\n`;
  }
  return files;
}
