/** Takes the inventory: every fact that can be read without changing or waking anything, and what was stored of earlier ones. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseCpuinfo } from "../facts/cpu.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import { carryOver } from "./carry.ts";
import {
  parseInventory,
  type InventoryDocument,
  type Moving,
  type Stable,
  type StoredInventory,
} from "./document.ts";
import { absent, type Known } from "./known.ts";
import {
  observeClocks,
  observeCpu,
  observeMicrocodePackage,
  observeThrottling,
} from "./observe_cpu.ts";
import { observeDisks } from "./observe_disks.ts";
import { observeFirmware, observeMachine, observeOs, observeVirtual } from "./observe_firmware.ts";
import { observePci } from "./observe_gpus.ts";
import { observeMemory } from "./observe_memory.ts";
import { observePower, observeTemperatures } from "./observe_now.ts";
import { profileOf } from "./profile.ts";

/** What 01_host_inventory sees. */
export interface InventoryFacts {
  readonly host: string;
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly root: boolean;
  /** What the machine shows now, completed by what only an earlier run as root could see and nothing contradicts. */
  readonly stable: Stable;
  readonly moving: Moving;
  readonly stored: StoredInventory;
  /** Where the document stands. */
  readonly path: string;
  /** Where a damaged one is set aside, named by what it holds. */
  readonly quarantine: string;
  /** shared.cfg. */
  readonly config: string;
}

/** Takes the inventory. Reads only. */
export async function observeInventory(probe: Probe): Promise<InventoryFacts> {
  const path = inHome.inventory(probe.home, probe.host);
  const reading = probe.read(path);
  const stored: StoredInventory =
    reading.state === "ok"
      ? parseInventory(reading.text)
      : reading.state === "error"
        ? { state: "damaged", why: reading.why }
        : reading;
  const content = reading.state === "ok" ? reading.text : "";
  const mark = createHash("sha256").update(content).digest("hex").slice(0, 12);
  const { stable, moving } = await see(probe);
  return {
    host: probe.host,
    at: new Date(probe.now()).toISOString(),
    root: probe.me.root,
    stable: stored.state === "ok" ? carryOver(stored.document.stable, stable) : stable,
    moving,
    stored,
    path,
    config: inHome.config(probe.home),
    quarantine: join(inHome.quarantine(probe.home), `inventory-${probe.host}-${mark}.json`),
  };
}

async function see(probe: Probe): Promise<Pick<InventoryDocument, "stable" | "moving">> {
  const { hypervisor, vendor } = parseCpuinfo(probe.text("/proc/cpuinfo") ?? "");
  const unsaid = absent("/proc/cpuinfo does not say");
  const virtual = await observeVirtual(probe, hypervisor);
  const microcode: Known<string> = hypervisor
    ? absent("the host of a virtual machine loads the microcode")
    : await observeMicrocodePackage(probe, vendor ?? unsaid);
  const machine = observeMachine(probe, virtual);
  const { memory, available } = await observeMemory(probe);
  const disks = await observeDisks(probe);
  const pci = await observePci(probe);
  return clipped({
    stable: {
      machine: { ...machine, profile: profileOf(machine) },
      cpu: observeCpu(probe, microcode),
      memory,
      disks: disks.disks,
      homeDisk: disks.homeDisk,
      gpus: pci.gpus,
      links: pci.links,
      firmware: observeFirmware(probe),
      os: observeOs(probe),
    },
    moving: {
      boot:
        probe.text("/proc/sys/kernel/random/boot_id")?.trim() ??
        absent("/proc/sys/kernel/random/boot_id is not there"),
      memoryAvailable: available,
      cpu: observeClocks(probe),
      temperatures: observeTemperatures(probe),
      throttled: observeThrottling(probe),
      ...pci.moving,
      disks: disks.moving,
      power: await observePower(probe),
    },
  });
}

/** Longest text that is kept of what a machine says of itself. */
const MAX_TEXT = 1000;

/** The same with every text cut to a length that is believed: firmware and drivers may say anything. */
function clipped<T>(value: T): T {
  if (typeof value === "string") return value.slice(0, MAX_TEXT) as T;
  if (Array.isArray(value)) return value.map(clipped) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, clipped(one as unknown)]),
  ) as T;
}
