/** The machines that the shelter was designed for, as they name themselves, and what each is good at. */
import type { BuildTarget } from "./settings.ts";

/** What a machine says of itself in /sys/class/dmi/id; undefined where it says nothing. */
export interface MachineId {
  readonly vendor?: string | undefined;
  readonly product?: string | undefined;
  readonly family?: string | undefined;
}

/** A machine that we know beforehand. */
export interface Profile {
  readonly name: "phantom" | "shadow" | "plain";
  /** The machine, for the report. */
  readonly machine: string;
  readonly target: BuildTarget;
  /** What to expect of it; the inventory says what of that is not so. */
  readonly expects: {
    /** Performance and efficiency cores on one die. */
    readonly hybrid?: boolean;
    /** Compute capability of its NVIDIA card. */
    readonly computeCapability?: string;
    /** Id in /etc/os-release. */
    readonly os?: string;
  };
}

const PHANTOM: Profile = {
  name: "phantom",
  machine: "Samsung Galaxy Book2 Pro",
  target: "bun-linux-x64",
  expects: { hybrid: true, os: "kali" },
};
const SHADOW: Profile = {
  name: "shadow",
  machine: "Acer Aspire VX 15",
  target: "bun-linux-x64",
  expects: { computeCapability: "6.1", os: "debian" },
};
const PLAIN: Profile = {
  name: "plain",
  machine: "a machine that the shelter has no profile of",
  target: "bun-linux-x64-baseline",
  expects: {},
};

/**
 * Which of the known machines this is, by its DMI strings; "plain" for every other.
 * Samsung sells the Galaxy Book2 Pro as models 930XED, 950XED and 955XED (joshuagrisham/samsung-galaxybook-extras), Acer the VX 15 as "Aspire VX5-591G".
 */
export function profileOf({ vendor = "", product = "", family = "" }: MachineId): Profile {
  const samsung = /^samsung\b/i.test(vendor);
  if (
    samsung &&
    (/\bgalaxy book2 pro\b/i.test(`${family} ${product}`) || /^9(?:30|50|55)XED/i.test(product))
  ) {
    return PHANTOM;
  }
  if (/^acer\b/i.test(vendor) && /\baspire vx5-591/i.test(product)) return SHADOW;
  return PLAIN;
}
