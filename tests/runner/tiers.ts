/** The tiers of the test suite: what each holds, what it needs of the machine, how long it may take. */
import { existsSync } from "node:fs";

/** Names of the tiers, in the order they run. */
export const TIER_NAMES = ["unit", "laws", "binary", "engine", "lab"] as const;
export type TierName = (typeof TIER_NAMES)[number];

/** Something that a tier needs and this machine lacks. */
export interface Lack {
  readonly what: string;
  /** How to have it: a command line or a sentence. */
  readonly how: string;
}

/** One tier. */
export interface Tier {
  readonly name: TierName;
  readonly what: string;
  /** Runs against the compiled binaries, which are built first. */
  readonly binaries: boolean;
  /** Seconds that one test may take where it says nothing itself. */
  readonly testSeconds: number;
  /** Seconds for the whole tier, after which it is ended and counts as failed. */
  readonly limitSeconds: number;
  readonly lacks: (machine: Machine) => readonly Lack[];
}

/** What the tiers ask about a machine. */
export interface Machine {
  readonly root: boolean;
  readonly debian: boolean;
  has(command: string): boolean;
}

/** This machine. */
export const here: Machine = {
  root: process.getuid?.() === 0,
  debian: existsSync("/etc/debian_version"),
  has: (command) => Bun.which(command, { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }) !== null,
};

const nothing = () => [];

export const TIERS: readonly Tier[] = [
  {
    name: "unit",
    what: "pure functions, parsers on recorded output, the machine seam",
    binaries: false,
    testSeconds: 60,
    limitSeconds: 900,
    lacks: nothing,
  },
  {
    name: "laws",
    what: "every unit on the fake machine, property by property",
    binaries: false,
    testSeconds: 300,
    limitSeconds: 1500,
    lacks: nothing,
  },
  {
    name: "binary",
    what: "end to end from source and from the compiled binaries, hostile input too",
    binaries: true,
    testSeconds: 180,
    limitSeconds: 1800,
    lacks: nothing,
  },
  {
    name: "engine",
    what: "llama.cpp really built, a small real model fetched, verified, measured and asked",
    binaries: true,
    testSeconds: 1800,
    limitSeconds: 2700,
    lacks: (machine) =>
      commands(machine, { cmake: "cmake", "g++": "g++", git: "git", pip3: "python3-pip" }),
  },
  {
    name: "lab",
    what: "a bare booted Debian with nothing but the binaries copied in",
    binaries: true,
    testSeconds: 600,
    limitSeconds: 1800,
    lacks: (machine) => [
      ...(machine.debian ? [] : [{ what: "Debian", how: "run it on Debian or a relative of it" }]),
      ...(machine.root ? [] : [{ what: "root", how: "run it as root" }]),
      ...commands(machine, {
        debootstrap: "debootstrap",
        "systemd-nspawn": "systemd-container",
        nsenter: "util-linux",
      }),
    ],
  },
];

function commands(machine: Machine, wanted: Readonly<Record<string, string>>): readonly Lack[] {
  const missing = Object.entries(wanted).filter(([command]) => !machine.has(command));
  if (missing.length === 0) return [];
  return [
    {
      what: missing.map(([command]) => command).join(", "),
      how: `apt-get install -y ${missing.map(([, debianPackage]) => debianPackage).join(" ")}`,
    },
  ];
}

/** The tier that a test file belongs to, by its folder below tests/; undefined for what no tier runs. */
export function tierOf(file: string): TierName | undefined {
  if (!file.endsWith(".test.ts")) return undefined;
  const folder = file.includes("/") ? file.slice(0, file.indexOf("/")) : "";
  if (["bench", "support", "fixtures"].includes(folder)) return undefined;
  return TIER_NAMES.find((name) => name === folder) ?? "unit";
}

/** A list of tiers as written in SHELTER_REQUIRE: names separated by commas, or "all". "audit" is for `bun run audit`. @throws UnknownTier */
export function parseRequired(text: string | undefined): ReadonlySet<TierName> {
  const names = (text ?? "").split(",").flatMap((name) => name.trim() || []);
  if (names.includes("all")) return new Set(TIER_NAMES);
  return new Set(names.filter((name) => name !== "audit").map(parseTier));
}

/** A tier by name. @throws UnknownTier for any other text. */
export function parseTier(text: string): TierName {
  const found = TIER_NAMES.find((name) => name === text);
  if (!found) throw new UnknownTier(`no tier is called "${text}": ${TIER_NAMES.join(", ")}`);
  return found;
}

/** A name that no tier has. */
export class UnknownTier extends Error {}
