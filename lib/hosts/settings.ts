/** What shared.cfg can say: the shapes, and what holds where it says nothing. */
import type { HostName } from "../unit.ts";

/** Bun's names of the machines that a binary can be built for. */
export const BUILD_TARGETS = [
  "bun-linux-x64",
  "bun-linux-x64-baseline",
  "bun-linux-x64-modern",
  "bun-linux-x64-musl",
  "bun-linux-x64-baseline-musl",
  "bun-linux-arm64",
  "bun-linux-arm64-musl",
] as const;
export type BuildTarget = (typeof BUILD_TARGETS)[number];

/** One host of the shelter. */
export interface HostEntry {
  readonly name: HostName;
  /** Name or address that ssh reaches it by. */
  readonly address?: string;
  /** Who owns the home there. */
  readonly user?: string;
  /** The system's own host name, where it is not the entry's name. */
  readonly hostname?: string;
  readonly target: BuildTarget;
  readonly roles: readonly string[];
  /** The home there, absolute or from "~/". "~/.mountain_shelter" when left out. */
  readonly home?: string;
}

/** What a model must reach on a host, set by the operator; the measured baseline stands beside it. Tokens per second. */
export interface Floor {
  readonly host: HostName;
  readonly model: string;
  readonly prompt?: number;
  readonly generation?: number;
}

/** How many generations stay, the live one included. */
export interface Retention {
  readonly builds: number;
  readonly releases: number;
  readonly snapshots: number;
  /** Generations of what a peer mirrored here. */
  readonly mirrors: number;
}

/** Where the programs that stay listen; the same on every host, so that each knows the others'. */
export interface Ports {
  /** For agents and people, on loopback. */
  readonly gateway: number;
  /** For the gateway alone, on loopback. */
  readonly engine: number;
  /** For paired hosts' gateways, on this host's address towards them. */
  readonly peers: number;
}

/** shared.cfg as the scripts see it: every value checked, every default filled in. */
export interface Config {
  readonly hosts: readonly HostEntry[];
  /** Further binaries to build, by folder name under bin/; `rescue` is always among them. */
  readonly targets: readonly { readonly name: string; readonly target: BuildTarget }[];
  /** Names in the model catalogue. None means: what `up` chooses by itself. */
  readonly models: readonly string[];
  readonly retention: Retention;
  readonly work: {
    /** Days after which an untouched entry of runtime/work is removed by 00_check_structure. */
    readonly maxAgeDays: number;
  };
  readonly baselines: readonly Floor[];
  readonly ports: Ports;
  readonly alerts: {
    /** The operator's own program and its arguments: gets each alert as JSON on its standard input. */
    readonly command?: readonly string[];
  };
}

/** What holds where shared.cfg says nothing. */
export const DEFAULT_CONFIG: Config = {
  hosts: [],
  targets: [{ name: "rescue", target: "bun-linux-x64-baseline" }],
  models: [],
  retention: { builds: 2, releases: 2, snapshots: 10, mirrors: 3 },
  work: { maxAgeDays: 14 },
  baselines: [],
  // not 8080 and its neighbours, which everybody takes
  ports: { gateway: 8770, engine: 8771, peers: 8772 },
  alerts: {},
};

/** One thing about the file, with its place: lines and columns count from 1. */
export interface ConfigNote {
  /** The key it is about, e.g. "hosts.phantom.target"; "" for the whole file. */
  readonly key: string;
  readonly line: number;
  readonly column: number;
  readonly why: string;
}

/** What reading shared.cfg gave. "damaged": not YAML of ours at all. "invalid": readable, but a value is not allowed. */
export type ConfigReading =
  | { readonly state: "absent" }
  | { readonly state: "denied" }
  | { readonly state: "unreadable"; readonly why: string }
  | { readonly state: "damaged"; readonly note: ConfigNote }
  | { readonly state: "invalid"; readonly problems: readonly ConfigNote[] }
  | {
      readonly state: "ok";
      readonly config: Config;
      /** Keys that no script knows: said, never fatal. */
      readonly unknown: readonly ConfigNote[];
    };
