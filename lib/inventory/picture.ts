/** The machine as a table for a person. */
import { nvidiaArchitecture } from "../facts/gpu.ts";
import { vulnerabilityState } from "../facts/kernel.ts";
import { bytes, table } from "../report/text.ts";
import { diskName, gigabytes } from "./change.ts";
import type { Gpu, Stable } from "./document.ts";
import { isKnown, valueOf, type Known } from "./known.ts";
import type { InventoryFacts } from "./observe.ts";

/** Rows "what  how it is". A fact that is not known is said as unknown, with the reason. */
export function pictureOf({ stable, moving }: InventoryFacts): readonly string[] {
  const { machine, cpu, memory, firmware, os } = stable;
  const rows: (readonly [string, string])[] = [
    ["machine", machineText(machine)],
    [
      "processor",
      `${said(cpu.model)}, ${coresText(cpu)}${(valueOf(cpu.nodes) ?? 1) > 1 ? `, ${said(cpu.nodes)} NUMA nodes` : ""}`,
    ],
    ["", cpu.isa.map((flag) => flag.toUpperCase()).join(" ") || "no vector instructions"],
    ["caches", cachesText(cpu)],
    [
      "clocks",
      [
        isKnown(moving.cpu.maxMegahertz)
          ? `up to ${moving.cpu.maxMegahertz.join(" / ")} MHz`
          : said(moving.cpu.maxMegahertz),
        ...named("governor", moving.cpu.governor),
        ...named("preference", moving.cpu.preference),
        ...named("intel_pstate", moving.cpu.pstate),
        ...named("profile", moving.cpu.platformProfile),
        ...(valueOf(moving.cpu.turbo) === false ? ["turbo off"] : []),
      ].join(", "),
    ],
    ["memory", `${memoryText(memory)}, ${bytes(moving.memoryAvailable)} free`],
    ["swap", memory.swap === 0 ? "none" : bytes(memory.swap)],
    ...stable.disks.map((disk) => {
      const more = moving.disks.find(({ name }) => name === disk.name);
      const home = valueOf(stable.homeDisk) === disk.name ? ", holds the home" : "";
      const age = more?.hours === undefined ? "" : `, ${more.hours} h`;
      const wear = more?.wear === undefined ? "" : `, ${more.wear} % worn`;
      return [
        "disk",
        `${diskName(disk)}, ${bytes(disk.bytes)} ${disk.kind}${home}; health: ${healthText(disk.smart)}${age}${wear}`,
      ] as const;
    }),
    ...stable.gpus.map((gpu) => {
      const now = moving.gpus.find(({ address }) => address === gpu.address);
      return ["GPU", `${gpuText(gpu)}${now ? gpuNowText(now) : ""}`] as const;
    }),
    ...moving.links.map((link) => {
      const name = stable.links.find(({ address }) => address === link.address)?.name;
      return [
        "PCIe link",
        `${name ?? link.address}: ${link.state === "unknown" ? "unknown, " : ""}${link.why}`,
      ] as const;
    }),
    ["heat", heatText(moving)],
    ["power", powerText(moving.power)],
    [
      "firmware",
      `${bootText(firmware)}; Secure Boot ${said(firmware.secureBoot)}; TPM ${said(firmware.tpm)}`,
    ],
    ["microcode", `${said(cpu.microcode)}; package ${said(cpu.microcodePackage)}`],
    ["weak spots", weakText(cpu.vulnerabilities)],
    [
      "system",
      [
        os.name,
        `kernel ${said(os.kernel)} ${os.arch}`,
        ...named("lockdown", os.lockdown),
        ...(isKnown(os.lsm) ? [`guarded by ${os.lsm.join(", ")}`] : []),
      ].join(", "),
    ],
  ];
  return table(rows);
}

function machineText(machine: Stable["machine"]): string {
  const names = [machine.vendor, machine.product].map(valueOf).filter((one) => one !== undefined);
  const who = names.length > 0 ? names.join(" ") : said(machine.product);
  const inside = said(machine.virtual);
  const bios = isKnown(machine.bios)
    ? `, firmware ${machine.bios.version} of ${machine.bios.date}`
    : "";
  return `${who} (${machine.profile})${bios}${inside === "none" ? "" : `; runs in ${inside}`}`;
}

function coresText({ logical, physical, hybrid }: Stable["cpu"]): string {
  const count = `${isKnown(physical) ? `${physical} cores, ` : ""}${logical} threads`;
  if (!isKnown(hybrid)) return count;
  return `${count} (fast: ${hybrid.performance}; frugal: ${hybrid.efficiency})`;
}

function cachesText({ caches }: Stable["cpu"]): string {
  if (caches.length === 0) return "unknown: the kernel does not show them";
  return caches
    .filter(({ type }) => type !== "Instruction")
    .map(
      ({ level, count, bytes: each }) =>
        `L${level} ${count > 1 ? `${count} x ` : ""}${bytes(each)}`,
    )
    .join(", ");
}

function memoryText({ total, slots }: Stable["memory"]): string {
  const modules = valueOf(slots)?.filter((slot) => slot.bytes > 0) ?? [];
  if (modules.length === 0) return `${bytes(total)} (modules unknown: ${reason(slots)})`;
  const kinds = new Map<string, number>();
  for (const { bytes: each, type = "", speed } of modules) {
    const kind = `${gigabytes(each)} ${type}${speed === undefined ? "" : `-${speed}`}`.trim();
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return `${gigabytes(modules.reduce((sum, slot) => sum + slot.bytes, 0))} (${[...kinds].map(([kind, count]) => `${count} x ${kind}`).join(", ")})`;
}

function healthText(smart: Stable["disks"][number]["smart"]): string {
  if (!isKnown(smart)) return said(smart);
  const errors = [
    ["replaced sectors", smart.reallocated],
    ["unreadable sectors", smart.pending],
    ["media errors", smart.mediaErrors],
  ] as const;
  const seen = errors
    .filter(([, count]) => (count ?? 0) > 0)
    .map(([what, count]) => `${count} ${what}`);
  const verdict = smart.passed === undefined ? "no verdict" : smart.passed ? "passed" : "FAILED";
  return [verdict, ...seen].join(", ");
}

function gpuText(gpu: Gpu): string {
  const capability = valueOf(gpu.computeCapability);
  const architecture = capability === undefined ? undefined : nvidiaArchitecture(capability.value);
  const parts = [
    `${gpu.name} [${gpu.id}]`,
    isKnown(gpu.vram) ? `${bytes(gpu.vram)} VRAM` : gpu.vram.unknown,
    ...(capability
      ? [
          `compute capability ${capability.value}${architecture ? ` (${architecture})` : ""}, by ${capability.from}`,
        ]
      : []),
    isKnown(gpu.driver)
      ? `driver ${gpu.driver}`
      : isKnown(gpu.module)
        ? `kernel module ${gpu.module}`
        : gpu.module.unknown,
  ];
  return parts.join(", ");
}

function gpuNowText(now: InventoryFacts["moving"]["gpus"][number]): string {
  const parts = [
    ...(now.maxMegahertz === undefined ? [] : [`up to ${now.maxMegahertz} MHz`]),
    ...(now.celsius === undefined ? [] : [`${now.celsius} °C`]),
    ...(now.busy === undefined ? [] : [`${now.busy} % busy`]),
    ...(now.slowedBy === undefined ? [] : [`slowed by ${now.slowedBy.join(", ")}`]),
  ];
  return parts.length === 0 ? "" : `; now ${parts.join(", ")}`.replace("; now up to", ", up to");
}

function heatText({ temperatures, throttled }: InventoryFacts["moving"]): string {
  const hottest = [...temperatures].sort((a, b) => b.celsius - a.celsius).slice(0, 4);
  const sensors =
    hottest.length > 0
      ? hottest.map(({ name, celsius }) => `${name} ${celsius} °C`).join(", ")
      : "unknown: the kernel shows no sensor";
  if (!isKnown(throttled)) return sensors;
  return `${sensors}; slowed by heat ${throttled.core + throttled.package} times since boot`;
}

function powerText({ battery, mains }: InventoryFacts["moving"]["power"]): string {
  if (!isKnown(battery)) return battery.unknown;
  const from = valueOf(mains) === false ? "on battery" : "on mains";
  return `${from}, battery ${battery.percent} %${battery.cycles === undefined ? "" : `, ${battery.cycles} cycles`}`;
}

function bootText({ boot }: Stable["firmware"]): string {
  return boot === "efi" ? "EFI" : "no EFI";
}

function weakText(vulnerabilities: Stable["cpu"]["vulnerabilities"]): string {
  if (!isKnown(vulnerabilities)) return said(vulnerabilities);
  const names = (wanted: string) =>
    Object.entries(vulnerabilities)
      .filter(([, text]) => vulnerabilityState(text) === wanted)
      .map(([name]) => name);
  const open = names("vulnerable");
  const counts = `${names("safe").length} do not apply, ${names("mitigated").length} mitigated`;
  return open.length === 0 ? `${counts}, none open` : `${counts}, open: ${open.join(", ")}`;
}

function named(what: string, fact: Known<string>): readonly string[] {
  return isKnown(fact) ? [`${what} ${fact}`] : [];
}

function said(fact: Known<string | number>): string {
  return isKnown(fact) ? String(fact) : `unknown (${fact.unknown})`;
}

function reason(slots: Stable["memory"]["slots"]): string {
  return isKnown(slots) ? "none listed" : slots.unknown;
}
