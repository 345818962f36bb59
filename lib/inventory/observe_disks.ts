/** Reads disks that are built in: what they are, how healthy they say they are, and which one holds the home. */
import { createHash } from "node:crypto";
import { mountOf, parseSmartctl, type Smart } from "../facts/disk.ts";
import { filled, gapless, saidByFirmware, whole } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import type { Disk, Moving, Stable } from "./document.ts";
import { absent, asleep, denied, failed, type Known } from "./known.ts";

/** What there is to know of disks. */
export interface DisksSeen {
  readonly disks: readonly Disk[];
  readonly moving: Moving["disks"];
  readonly homeDisk: Stable["homeDisk"];
}

/** Names under /sys/block of what is no disk of its own: made by the kernel from memory, files or other disks. */
const NO_DISK = /^(loop|ram|zram|dm-|md|sr|fd|nbd|zd|mtdblock)\d*/;

/** Reads all built-in disks. What is plugged in (USB, card readers) is left out: it comes and goes. */
export async function observeDisks(probe: Probe): Promise<DisksSeen> {
  const disks: Disk[] = [];
  const moving: Moving["disks"][number][] = [];
  for (const name of probe.list("/sys/block")) {
    if (NO_DISK.test(name)) continue;
    const at = `/sys/block/${name}`;
    const sectors = whole(probe.text(`${at}/size`));
    if (!sectors || probe.text(`${at}/removable`)?.trim() === "1") continue;
    const place = probe.real(at) ?? at;
    if (/\/usb\d+\//.test(place)) continue;
    const kind = kindOf(probe, name, place);
    const { smart, more } = await health(probe, name, kind);
    disks.push({
      name,
      kind,
      model: filled(probe.text(`${at}/device/model`)) ?? absent(`${at}/device/model is not there`),
      mark: markOf(probe, at),
      // sysfs counts in units of 512 bytes whatever the disk's own sectors are (Linux, include/linux/types.h)
      bytes: sectors * 512,
      smart,
    });
    moving.push({ name, ...more });
  }
  return { disks, moving, homeDisk: homeDisk(probe, disks) };
}

function kindOf(probe: Probe, name: string, place: string): Disk["kind"] {
  if (/\/virtio\d+\/|\/vbd-|\/vmbus/.test(place) || /^(vd|xvd)/.test(name)) return "virtual";
  if (name.startsWith("nvme")) return "nvme";
  return probe.text(`/sys/block/${name}/queue/rotational`)?.trim() === "1" ? "hdd" : "ssd";
}

/** A disk's own number, made anonymous: a mark tells a swapped disk of the same model, and names none. */
function markOf(probe: Probe, at: string): Known<string> {
  const number = ["device/wwid", "wwid", "device/serial", "serial"]
    .map((file) => saidByFirmware(probe.text(`${at}/${file}`)))
    .find((said) => said !== undefined);
  if (number === undefined) return absent("the disk shows no number of its own");
  return createHash("sha256").update(number).digest("hex").slice(0, 12);
}

async function health(
  probe: Probe,
  name: string,
  kind: Disk["kind"],
): Promise<{
  readonly smart: Disk["smart"];
  readonly more: Omit<Moving["disks"][number], "name">;
}> {
  const none = (why: Disk["smart"]) => ({ smart: why, more: {} });
  if (kind === "virtual") return none(absent("a virtual disk has no health of its own"));
  if (probe.which("smartctl") === undefined) {
    return none(absent("smartctl is not installed (Debian package smartmontools)"));
  }
  const ran = await probe.run(["smartctl", "-j", "-n", "standby", "-iHA", `/dev/${name}`]);
  const reading = parseSmartctl(ran.stdout);
  switch (reading.state) {
    case "ok":
      return split(reading.smart);
    case "denied":
      return none(denied(`the health of ${name} (SMART)`));
    case "asleep":
      return none(asleep(`${name} sleeps, and asking would wake it`));
    case "unsupported":
      return none(absent(`${name} has no SMART that can be read`));
    case "error":
      return none(
        probe.me.root
          ? failed(`smartctl: ${reading.why}`)
          : denied(`the health of ${name} (SMART)`),
      );
  }
}

function split(smart: Smart) {
  const { passed, reallocated, pending, mediaErrors, hours, celsius, wear } = smart;
  return {
    smart: gapless({ passed, reallocated, pending, mediaErrors }),
    more: gapless({ hours, celsius, wear }),
  };
}

/** The disk below the home's file system; layers such as LUKS and LVM are looked through where they stand on one disk. */
function homeDisk(probe: Probe, disks: readonly Disk[]): Known<string> {
  const home = existing(probe, probe.home);
  const mount = mountOf(probe.text("/proc/self/mountinfo") ?? "", home);
  if (!mount) return absent("/proc/self/mountinfo does not name the home's file system");
  const named = filled(probe.real(mount.source)?.split("/").at(-1));
  const device = probe.real(`/sys/dev/block/${mount.device}`);
  const found =
    (device && below(probe, device, disks)) ??
    disks.find(({ name }) => named !== undefined && isPartOf(named, name))?.name;
  return found ?? absent(`${mount.source} (${mount.type}) is on no built-in disk that is shown`);
}

function below(
  probe: Probe,
  device: string,
  disks: readonly Disk[],
  depth = 0,
): string | undefined {
  const parts = device.split("/");
  const itself = disks.find(({ name }) => parts.includes(name));
  if (itself || depth > 4) return itself?.name;
  const slaves = probe.list(`${device}/slaves`);
  const [only] = slaves;
  if (only === undefined || slaves.length > 1) return undefined;
  const further = probe.real(`${device}/slaves/${only}`);
  return further === undefined ? undefined : below(probe, further, disks, depth + 1);
}

/** True for a disk's own name or one of its partitions: "sda1" of "sda", "nvme0n1p2" of "nvme0n1". */
function isPartOf(named: string, disk: string): boolean {
  if (!named.startsWith(disk)) return false;
  return /^(p?\d+)?$/.test(named.slice(disk.length));
}

/** The path itself or its nearest parent that is there: a home may not be made yet. */
function existing(probe: Probe, path: string): string {
  for (let at = path; at !== "/" && at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
    const real = probe.real(at);
    if (real !== undefined) return real;
  }
  return "/";
}
