/** Reads memory: what the kernel manages, and what is in the slots. */
import { parseDmiMemory, parseMeminfo } from "../facts/memory.ts";
import type { Probe } from "../machine/probe.ts";
import type { Stable } from "./document.ts";
import { absent, denied, failed } from "./known.ts";

/** Memory as it stays, and what of it is free now, in bytes. */
export async function observeMemory(
  probe: Probe,
): Promise<{ readonly memory: Stable["memory"]; readonly available: number }> {
  const meminfo = parseMeminfo(probe.text("/proc/meminfo") ?? "");
  return {
    memory: {
      total: meminfo?.total ?? 0,
      swap: meminfo?.swapTotal ?? 0,
      slots: await slots(probe),
    },
    available: meminfo?.available ?? 0,
  };
}

/**
 * Modules by slot. dmidecode reads them, as root only. (systeminformation's memLayout gives one made-up module where dmidecode
 * can't be asked, so it is not asked here.)
 */
async function slots(probe: Probe): Promise<Stable["memory"]["slots"]> {
  if (probe.stat("/sys/firmware/dmi/tables") === undefined) {
    return absent("the firmware shows no SMBIOS tables (as in many virtual machines)");
  }
  if (probe.which("dmidecode") === undefined) return absent("dmidecode is not installed");
  const ran = await probe.run(["dmidecode", "-t", "memory"]);
  const found = parseDmiMemory(ran.stdout);
  if (found.length > 0) return found;
  if (!probe.me.root) return denied("the memory modules, slot by slot (dmidecode)");
  return ran.code === 0
    ? absent("the firmware's tables list no memory device")
    : failed(`dmidecode ended with ${ran.code}`);
}
