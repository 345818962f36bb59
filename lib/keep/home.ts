/** Where everything stands in a home. One place, so that no other file spells a path out. */
import { join } from "node:path";
import type { HostName, ScriptId } from "../unit.ts";

/** Paths of a home, all absolute. */
export const inHome = {
  config: (home: string) => join(home, "shared.cfg"),
  history: (home: string) => join(home, "history_main.log"),
  status: (home: string, host: HostName, flag?: string) =>
    join(home, "status", host, ...(flag === undefined ? [] : [`${flag}.json`])),
  memory: (home: string, host: HostName, script: ScriptId) =>
    join(home, "logs", "memory", host, script),
  journal: (home: string, host: HostName) => join(home, "logs", "journal", host),
  models: (home: string, ...rest: readonly string[]) => join(home, "models", ...rest),
  /** Content-addressed store of models. */
  store: (home: string, sha256?: string) =>
    join(home, "models", "sha256", ...(sha256 === undefined ? [] : [sha256])),
  /** What was proven of a stored model, when, and of which file: one small document each. */
  verified: (home: string, sha256: string) => join(home, "runtime", "verified", `${sha256}.json`),
  runtime: (home: string, ...rest: readonly string[]) => join(home, "runtime", ...rest),
  locks: (home: string) => join(home, "runtime", "locks"),
  snapshots: (home: string, run?: string) =>
    join(home, "runtime", "snapshots", ...(run === undefined ? [] : [run])),
  /** Partial downloads, build trees, caches: not under the laws, kept across undo, pruned by 00_check_structure. */
  work: (home: string, ...rest: readonly string[]) => join(home, "runtime", "work", ...rest),
  /** Damaged files, set aside and never served or deleted by us. */
  quarantine: (home: string) => join(home, "runtime", "quarantine"),
  /** Generations of the engine; `current` is the live one's link. */
  engines: (home: string, build?: string) =>
    join(home, "runtime", "llama.cpp", ...(build === undefined ? [] : [build])),
  /** Measurements and tuned profiles of a host: small documents, only ever added to. */
  bench: (home: string, host: HostName, ...rest: readonly string[]) =>
    join(home, "runtime", "bench", host, ...rest),
  /** The host's inventory: one document, the taking before it inside. */
  inventory: (home: string, host: HostName) => join(home, "runtime", "inventory", `${host}.json`),
  /** What the gateway is told: addresses, engines, models. */
  gateway: (home: string) => join(home, "runtime", "gateway.json"),
  /** Keys of engines that are running: one 0600 file each, gone when its engine stops. */
  keys: (home: string, ...rest: readonly string[]) =>
    join(home, "runtime", "work", "keys", ...rest),
  /** This host's own private keys (0600) and their public halves, by role; known_hosts; the gateway's certificate. */
  identity: (home: string, ...rest: readonly string[]) =>
    join(home, "runtime", "identity", ...rest),
  /** What this host's watcher knows. */
  watch: (home: string) => join(home, "runtime", "state", "watch.json"),
  /** Left by the operator: what the watcher gave up is to be tried again. */
  watchAgain: (home: string) => join(home, "runtime", "state", "watch-again"),
  /** Left by the operator: which command of shared.cfg may be run with alerts on this very host. Never mirrored. */
  allowedCommand: (home: string) => join(home, "runtime", "state", "allowed-command"),
  /** When a paired host last answered this one, and what it said. */
  contact: (home: string, peer: HostName) =>
    join(home, "runtime", "state", "contact", `${peer}.json`),
  /** What a host owns as it arrived from there: generations, `current`, and what is still arriving. Under this host's own name: what it last agreed on with each peer. */
  mirror: (home: string, host: HostName, ...rest: readonly string[]) =>
    join(home, "runtime", "mirror", host, ...rest),
  /** What is known of each paired host. */
  trust: (home: string, peer?: HostName) =>
    join(home, "runtime", "trust", ...(peer === undefined ? [] : [`${peer}.json`])),
} as const;
