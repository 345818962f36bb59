/** What one look at the host gives: the only thing that the watcher's judgement is made from. */
import type { Space } from "../machine/probe.ts";
import type { Failure, HostName } from "../unit.ts";
import type { Cure } from "./fixes.ts";
import type { Target, WatchState } from "./state.ts";

/** When a look was made. */
export interface Moment {
  /** Milliseconds since 1970, by a clock that anybody may set. */
  readonly now: number;
  /** Milliseconds since boot, suspend included. */
  readonly uptime: number;
  /** How many of them the host was suspended. */
  readonly asleep: number;
  /** The kernel's boot id. */
  readonly boot: string;
}

/** A service. `cause` is the id of a failure that the service itself named. */
export type ServiceLook =
  | { readonly state: "starting" | "absent" }
  /** `outdated`: why the gateway goes by an older document than this host would have. */
  | { readonly state: "up"; readonly outdated?: string }
  | { readonly state: "stopped" | "unknown"; readonly why: string }
  | { readonly state: "down"; readonly why: string; readonly cause?: string };

/** A paired host. */
export interface PeerLook {
  readonly name: HostName;
  /** Whether it answered when it was asked last; undefined where it was not asked yet. */
  readonly answers?: boolean;
  readonly why?: string;
  /** Why its gateway does not answer, where it does not. */
  readonly gatewayFails?: string;
  /** What is wrong with a host that lives: another host key, another release. */
  readonly trouble?: Failure;
  /** Its watcher's last word, as it was heard last. */
  readonly heard?: WatchState;
  /** Its clock less ours in milliseconds, when it was heard last. */
  readonly clockOff?: number;
  /** Age of its watcher's word by its own clock, when it was heard last, in milliseconds; undefined where it has no watcher. */
  readonly watcherAge?: number;
}

/** A graphics processor. */
export interface GpuLook {
  readonly name: string;
  readonly vram?: number;
  readonly vramUsed?: number;
  readonly celsius?: number;
}

/** What is measured of the host. What this machine does not tell is left out. */
export interface HostLook {
  /** Of the home's file system. */
  readonly disk?: Space;
  readonly memory?: { readonly available: number; readonly total: number };
  readonly gpus: readonly GpuLook[];
  /** Of the hottest sensor of the processor. */
  readonly celsius?: number;
  /** Times that the processor throttled since boot. */
  readonly throttled?: number;
  /** The governor that is set, where it can be set to "performance"; of several that is not "performance", where there is one. */
  readonly governor?: string;
  /** PCI Express links that are slower under load than both ends allow. */
  readonly slowLinks: readonly string[];
  readonly onBattery?: boolean;
  readonly lid?: "open" | "closed";
  /** Whether the system's time service says that the clock is synchronised; undefined where there is none. */
  readonly clockSynced?: boolean;
}

/** An act that was carried out since the last look. */
export interface Acted {
  readonly target: Target;
  /** Why it failed, where it did. */
  readonly failed?: string;
}

/** Everything. */
export interface Look {
  readonly moment: Moment;
  /** True for the first look of a watcher that has just started. */
  readonly first: boolean;
  readonly services: Readonly<Record<Target, ServiceLook>>;
  readonly peers: readonly PeerLook[];
  readonly host: HostLook;
  /** When the last mirror run ended well, in milliseconds since 1970; `due` is the age that is too old. */
  readonly mirror: { readonly at?: number; readonly due?: number };
  /** Services on which an act is being carried out at this moment. */
  readonly acting: readonly Target[];
  readonly acted: readonly Acted[];
  /** Services that have a generation to go back to: the engine's build before, the whole program's release before. */
  readonly canGoBack: readonly Target[];
  /** The release that was given up for the one before; left out where the installed one serves. */
  readonly gaveUp?: {
    readonly release: string;
    readonly serving: string;
    readonly fix: readonly string[];
  };
  /** Known fixes that have nothing to do on this host. */
  readonly useless: readonly Cure["id"][];
  /** The operator asked to try again what was given up. */
  readonly again: boolean;
}
