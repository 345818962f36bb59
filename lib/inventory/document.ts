/** The inventory document: what stays the same from boot to boot, what moves by itself, and the generation before. */
import { jsonProblem } from "../facts/json_place.ts";
import { known } from "./known.ts";
import { list, number, object, oneOf, open, table, text, yes, type Of } from "./shape.ts";

const link = object({ speed: number, width: number });
const memorySlot = open(
  { locator: text, bytes: number },
  { bank: text, type: text, formFactor: text, speed: number, manufacturer: text, part: text },
);

const disk = object({
  /** "nvme0n1", "sda" … */
  name: text,
  kind: oneOf("ssd", "hdd", "nvme", "virtual"),
  model: known(text),
  /** Tells one disk from another of its model without naming it: the start of the SHA-256 of its serial number or WWID. */
  mark: known(text),
  bytes: number,
  /** What the disk says of its own health; hours and temperatures stand in `now`. */
  smart: known(
    open({}, { passed: yes, reallocated: number, pending: number, mediaErrors: number }),
  ),
});

const gpu = object({
  address: text,
  /** "10de:1c8c" */
  id: text,
  name: text,
  maker: oneOf("nvidia", "intel", "amd", "virtual", "other"),
  /** Kernel module that drives it. */
  module: known(text),
  /** Version of the maker's own driver. */
  driver: known(text),
  /** Bytes of its own memory; unknown for one that shares the machine's. */
  vram: known(number),
  /** CUDA compute capability, e.g. "6.1", and where that was learnt. */
  computeCapability: known(object({ value: text, from: text })),
});

const pciLink = object({
  address: text,
  name: text,
  max: link,
  upstream: known(object({ address: text, max: link })),
  /** The lesser of both ends. */
  expected: known(link),
});

/** Facts that stay until somebody changes the machine. */
export const stable = object({
  machine: object({
    profile: oneOf("phantom", "shadow", "plain"),
    vendor: known(text),
    product: known(text),
    family: known(text),
    board: known(text),
    bios: known(object({ vendor: text, version: text, date: text })),
    /** "none", or what it runs in, e.g. "KVM", "container in KVM". */
    virtual: known(text),
  }),
  cpu: object({
    vendor: known(text),
    model: known(text),
    logical: number,
    physical: known(number),
    sockets: known(number),
    /** NUMA nodes. */
    nodes: known(number),
    /** Kernel's cpu lists of fast and frugal cores. */
    hybrid: known(object({ performance: text, efficiency: text })),
    isa: list(text),
    caches: list(object({ level: number, type: text, bytes: number, count: number })),
    driver: known(text),
    microcode: known(text),
    microcodePackage: known(text),
    vulnerabilities: known(table(text)),
  }),
  memory: object({ total: number, slots: known(list(memorySlot)), swap: number }),
  disks: list(disk),
  /** Disk that the home stands on. */
  homeDisk: known(text),
  gpus: list(gpu),
  links: list(pciLink),
  firmware: object({
    boot: oneOf("efi", "other"),
    secureBoot: known(oneOf("on", "off", "setup", "shim-off")),
    tpm: known(text),
  }),
  os: object({
    id: text,
    like: list(text),
    name: text,
    version: known(text),
    kernel: known(text),
    arch: text,
    cmdline: known(list(text)),
    lockdown: known(text),
    lsm: known(list(text)),
  }),
});
export type Stable = Of<typeof stable>;
export type Disk = Of<typeof disk>;
export type Gpu = Of<typeof gpu>;
export type PciLink = Of<typeof pciLink>;

/** Facts that move by themselves: they never make an inventory due. */
export const moving = object({
  boot: known(text),
  memoryAvailable: number,
  cpu: object({
    governor: known(text),
    preference: known(text),
    /** intel_pstate's status: "active", "passive", "off". */
    pstate: known(text),
    turbo: known(yes),
    platformProfile: known(text),
    /** Highest clock that the cores are allowed, in MHz, highest first. */
    maxMegahertz: known(list(number)),
  }),
  temperatures: list(open({ name: text, celsius: number }, { critical: number })),
  /** Since boot: how often, and for how many milliseconds, cores and packages were slowed by heat. */
  throttled: known(object({ core: number, package: number, milliseconds: number })),
  links: list(
    object({
      address: text,
      current: known(link),
      state: oneOf("as-expected", "below", "unknown"),
      why: text,
    }),
  ),
  gpus: list(
    open(
      { address: text },
      {
        vramUsed: number,
        celsius: number,
        state: text,
        busy: number,
        watts: number,
        megahertz: number,
        maxMegahertz: number,
        /** What holds its clock down right now, in the kernel's words, e.g. "thermal", "pl1". */
        slowedBy: list(text),
      },
    ),
  ),
  disks: list(open({ name: text }, { hours: number, celsius: number, wear: number })),
  power: object({
    battery: known(
      open(
        { percent: number, charging: yes },
        /** Both capacities in the battery's own unit. */
        { designed: number, full: number, cycles: number },
      ),
    ),
    mains: known(yes),
  }),
});
export type Moving = Of<typeof moving>;

const taken = object({ at: text, stable, moving });
/** One taking of the inventory. `at` is UTC, ISO 8601. */
export type Taken = Of<typeof taken>;

const stored = open({ host: text, at: text, stable, moving }, { before: taken });
/** The document as it is stored: the last taking, and the one before it that differed. */
export interface InventoryDocument extends Of<typeof stored> {
  readonly schema: 1;
}

/** What reading the stored document gave. */
export type StoredInventory =
  | { readonly state: "ok"; readonly document: InventoryDocument }
  | { readonly state: "absent" }
  | { readonly state: "denied" }
  /** `why` has line or place and reason. */
  | { readonly state: "damaged"; readonly why: string };

/** Reads a stored document's text. */
export function parseInventory(content: string): Exclude<StoredInventory, { state: "denied" }> {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    const place = jsonProblem(content);
    const why = place
      ? `line ${place.line}, column ${place.column}: ${place.why}`
      : error instanceof Error
        ? error.message
        : String(error);
    return { state: "damaged", why };
  }
  const schema = (value as { schema?: unknown } | null)?.schema;
  if (schema !== 1)
    return { state: "damaged", why: `its schema is ${JSON.stringify(schema)}, not 1` };
  const wrong = stored.check(value, "inventory");
  if (wrong !== undefined) return { state: "damaged", why: wrong };
  if (Number.isNaN(Date.parse((value as { at: string }).at))) {
    return { state: "damaged", why: "inventory.at is not a time" };
  }
  return { state: "ok", document: value as InventoryDocument };
}

/** The text that is stored. */
export function writeInventory(document: InventoryDocument): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
