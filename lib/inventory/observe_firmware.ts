/** Reads firmware, the operating system and the kernel. */
import { efiByte, secureBootState } from "../facts/firmware.ts";
import { parseCmdline, parseLockdown, parseLsms } from "../facts/kernel.ts";
import { parseOsRelease } from "../facts/os.ts";
import { filled, saidByFirmware } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import type { Stable } from "./document.ts";
import { absent, denied, failed, isKnown, readKnown, type Known } from "./known.ts";

const DMI = "/sys/class/dmi/id";
const EFIVARS = "/sys/firmware/efi/efivars";

/** What the machine calls itself; the profile is judged later, from more than this. */
export function observeMachine(
  probe: Probe,
  virtual: Known<string>,
): Omit<Stable["machine"], "profile"> {
  const said = (name: string): Known<string> => {
    if (probe.stat(DMI) === undefined) return absent("the firmware shows no DMI here");
    return readKnown(probe, `${DMI}/${name}`, name, saidByFirmware);
  };
  const [vendor, version, date] = ["bios_vendor", "bios_version", "bios_date"].map((name) =>
    saidByFirmware(probe.text(`${DMI}/${name}`)),
  );
  return {
    vendor: said("sys_vendor"),
    product: said("product_name"),
    family: said("product_family"),
    board: said("board_name"),
    bios:
      vendor !== undefined && version !== undefined
        ? { vendor, version, date: date ?? "" }
        : absent("the firmware does not name itself"),
    virtual,
  };
}

/** What the machine runs in, if anything. The same for root and for a user, so that both take the same inventory. */
export async function observeVirtual(probe: Probe, hypervisor: boolean): Promise<Known<string>> {
  const container =
    filled(probe.text("/run/systemd/container")) ??
    (probe.stat("/.dockerenv") || probe.stat("/run/.containerenv") ? "container" : undefined);
  if (!hypervisor) return container ?? "none";
  const host = await hypervisorName(probe);
  if (!isKnown(host)) return host;
  return container === undefined ? host : `${container} in ${host}`;
}

/** systemd asks the processor itself; where it is missing, systeminformation looks for marks of some hypervisors, most of which only root sees. */
async function hypervisorName(probe: Probe): Promise<Known<string>> {
  if (probe.which("systemd-detect-virt") !== undefined) {
    const ran = await probe.run(["systemd-detect-virt", "--vm"]);
    const name = /^[a-z0-9-]{1,40}$/.exec(ran.stdout.trim())?.[0];
    if (name !== undefined && name !== "none") return name;
  }
  try {
    const { system } = await probe.system();
    const name = filled((await system()).virtualHost)?.toLowerCase();
    if (name !== undefined) return name;
  } catch (error) {
    return failed(`systeminformation: ${error instanceof Error ? error.message : String(error)}`);
  }
  return probe.me.root
    ? absent("a hypervisor that does not name itself")
    : denied("which hypervisor this runs in");
}

/** How the machine boots, and what it guards it with. */
export function observeFirmware(probe: Probe): Stable["firmware"] {
  const efi = probe.stat("/sys/firmware/efi") !== undefined;
  return {
    boot: efi ? "efi" : "other",
    secureBoot: efi
      ? secureBoot(probe)
      : absent("it did not boot through EFI, which Secure Boot is part of"),
    tpm: tpm(probe),
  };
}

function secureBoot(probe: Probe): Stable["firmware"]["secureBoot"] {
  const global = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
  if (probe.list(EFIVARS).length === 0) {
    return absent("efivarfs is not mounted, so the EFI variables can't be read");
  }
  const path = `${EFIVARS}/SecureBoot-${global}`;
  if (probe.stat(path) === undefined) return absent("the firmware has no Secure Boot");
  if (probe.read(path).state === "denied") return denied("Secure Boot");
  const state = secureBootState({
    secureBoot: variable(probe, path),
    setupMode: variable(probe, `${EFIVARS}/SetupMode-${global}`),
    mokState: variable(probe, `${EFIVARS}/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23`),
  });
  return state ?? failed(`${path} holds nothing`);
}

function variable(probe: Probe, path: string): number | undefined {
  try {
    return efiByte(probe.bytes(path, 0, 16));
  } catch {
    return undefined; // not there, or denied: told apart for the one that matters
  }
}

function tpm(probe: Probe): Known<string> {
  const first = probe.list("/sys/class/tpm").find((name) => /^tpm\d+$/.test(name));
  if (first === undefined) {
    return absent(
      "the kernel shows no TPM: there is none, it is off in the firmware, or its driver is missing",
    );
  }
  const at = `/sys/class/tpm/${first}`;
  const major = filled(probe.text(`${at}/tpm_version_major`));
  return major === undefined ? "present, version not told" : `${major}.x`;
}

/** The operating system and what its kernel was told. */
export function observeOs(probe: Probe): Stable["os"] {
  const release = parseOsRelease(
    probe.text("/etc/os-release") ?? probe.text("/usr/lib/os-release") ?? "",
  );
  return {
    id: release.id,
    like: release.like,
    name: release.name,
    version: release.version ?? release.codename ?? absent("os-release names no version"),
    kernel: readKnown(probe, "/proc/sys/kernel/osrelease", "the kernel's release", filled),
    arch: filled(probe.text("/proc/sys/kernel/arch")) ?? process.arch,
    cmdline: readKnown(probe, "/proc/cmdline", "the kernel's command line", parseCmdline),
    lockdown: readKnown(probe, "/sys/kernel/security/lockdown", "kernel lockdown", parseLockdown),
    lsm: readKnown(probe, "/sys/kernel/security/lsm", "security modules", parseLsms),
  };
}
