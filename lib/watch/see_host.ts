/** The eyes for the host itself: from /proc and /sys where that tells, and no program started more often than once a minute. */
import { parseMeminfo } from "../facts/memory.ts";
import { askNvidia } from "../inventory/observe_gpus.ts";
import { DEVICES, linkNow, linkOf } from "../inventory/observe_links.ts";
import { inHome } from "../keep/home.ts";
import { readBattery, readSensors } from "../llm/bench/sensors.ts";
import { readPolicies } from "../llm/governor.ts";
import type { Probe } from "../machine/probe.ts";
import { Gauge } from "./gauge.ts";
import type { GpuLook, HostLook } from "./look.ts";

const SECOND = 1000;

/** What the cards tell, and their links where they have work. */
interface Cards {
  readonly gpus: readonly GpuLook[];
  readonly slowLinks: readonly string[];
}

/** Looks at the host. Each part has a pace of its own. */
export function hostEyes(probe: Probe): (now: number) => HostLook {
  const disk = new Gauge(() => diskOf(probe), 30 * SECOND);
  const memory = new Gauge(() => parseMeminfo(probe.text("/proc/meminfo") ?? ""), 10 * SECOND);
  const sensors = new Gauge(() => readSensors(probe), 10 * SECOND);
  const governor = new Gauge(() => settableGovernor(probe), 30 * SECOND);
  const power = new Gauge(
    () => ({ onBattery: readBattery(probe), lid: readLid(probe) }),
    5 * SECOND,
  );
  const synced = new Gauge(() => readSynced(probe), 60 * SECOND);
  const cards = new Gauge(() => readCards(probe), 60 * SECOND);
  return (now) => {
    const [space, found, sensed] = [disk.at(now), memory.at(now), sensors.at(now)];
    const { onBattery, lid } = power.at(now) ?? {};
    const [set, clockSynced] = [governor.at(now), synced.at(now)];
    const times = sensed?.throttled?.times;
    return {
      ...(space ? { disk: space } : {}),
      ...(found ? { memory: found } : {}),
      ...(sensed?.celsius === undefined ? {} : { celsius: sensed.celsius }),
      ...(times === undefined ? {} : { throttled: times }),
      ...(set === undefined ? {} : { governor: set }),
      ...(onBattery === undefined ? {} : { onBattery }),
      ...(lid === undefined ? {} : { lid }),
      ...(clockSynced === undefined ? {} : { clockSynced }),
      gpus: [],
      slowLinks: [],
      ...cards.at(now),
    };
  };
}

/** The home's, read-only also where that is just so of the part that the services write: it may be a mount of its own. */
function diskOf(probe: Probe): HostLook["disk"] {
  const [disk, written] = [probe.space(probe.home), probe.space(inHome.runtime(probe.home))];
  return disk && { ...disk, readOnly: disk.readOnly || written?.readOnly === true };
}

/** The governor of the policies for which "performance" could be set: one that is not, where there is one. */
function settableGovernor(probe: Probe): string | undefined {
  const settable = readPolicies(probe)
    .filter(({ choices }) => choices.includes("performance"))
    .flatMap(({ governor }) => governor ?? []);
  return settable.find((one) => one !== "performance") ?? settable[0];
}

/** Documentation/power and drivers/acpi/button.c: "state:      open". */
function readLid(probe: Probe): "open" | "closed" | undefined {
  const [name] = probe.list("/proc/acpi/button/lid");
  if (name === undefined) return undefined;
  const state = /open|closed/.exec(probe.text(`/proc/acpi/button/lid/${name}/state`) ?? "")?.[0];
  return state === "open" || state === "closed" ? state : undefined;
}

/** systemd-timesyncd touches this file when it has set the clock (systemd-timesyncd.service(8)); undefined where it does not run. */
function readSynced(probe: Probe): boolean | undefined {
  if (!probe.stat("/run/systemd/timesync")) return undefined;
  return probe.stat("/run/systemd/timesync/synchronized") !== undefined;
}

/** Asks only a card that is awake anyway: nvidia-smi would wake it, and that costs a laptop's battery. */
async function readCards(probe: Probe): Promise<Cards> {
  const cards = probe.list(DEVICES).filter((address) => {
    const told = (file: string) => probe.text(`${DEVICES}/${address}/${file}`)?.trim() ?? "";
    const isDisplay = told("class").startsWith("0x03") && told("vendor") === "0x10de";
    return isDisplay && told("power/runtime_status") !== "suspended";
  });
  const found = cards.length > 0 ? await askNvidia(probe) : [];
  const slowLinks = found.flatMap(({ address, name, busy }) =>
    address === undefined
      ? []
      : linkOf(probe, address, name)
          .map((link) => linkNow(probe, link, busy))
          .flatMap(({ state, why }) =>
            state === "below" ? [`${name} at ${address}: ${why}`] : [],
          ),
  );
  return {
    gpus: found.map(({ name, vram, vramUsed, celsius }) => ({
      name,
      ...(vram === undefined ? {} : { vram }),
      ...(vramUsed === undefined ? {} : { vramUsed }),
      ...(celsius === undefined ? {} : { celsius }),
    })),
    slowLinks,
  };
}
