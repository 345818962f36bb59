/** Where the services' programs stand: below one root-owned folder, so that nobody but root changes what runs as a service. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";

/** FHS 3.0: what the local administrator installs. */
export const TOP = "/usr/local/lib/mountain-shelter";
/** The link to the live release. */
export const CURRENT = join(TOP, "current");
/** The link to the release that was live and proven when the live one took its place. */
export const BEFORE = join(TOP, "before");
/** For each release a link to the one that serves in its place; see `live.ts`. */
export const LIVE = join(TOP, "live");

/** The one program of a release. */
export function releaseProgram(release: string): string {
  return join(TOP, release, "shelter");
}

/** A build of the engine, or a file of it. */
export function engineFolder(build: string, ...rest: readonly string[]): string {
  return join(TOP, "engine", build, ...rest);
}

/** Holds the id of the build that was given up for the one before: the engine's service then runs that. Written by root's act alone. */
export const GIVEN_UP = join(TOP, "engine", "given-up");

/** What root's act set and is to put back: gone with a reboot, as are the settings themselves. */
export const GOVERNOR_BEFORE = "/run/shelter-governor.json";

/** When root's act restarted each unit last, in seconds since boot: gone with a reboot. */
export const RESTARTED = "/run/shelter-restarted.json";

export const SYSTEMD = "/etc/systemd/system";
export const ENGINE_UNIT = "shelter-engine.service";
export const GATEWAY_UNIT = "shelter-gateway.service";
export const WATCH_UNIT = "shelter-watch.service";
export const ACT_SOCKET_UNIT = "shelter-act.socket";
export const ACT_TEMPLATE = "shelter-act@.service";

/** What the services keep in the home: keys, and documents that they write anew as things change. */
export const inServices = {
  folder: (home: string) => inHome.runtime(home, "services"),
  engineKey: (home: string) => inHome.runtime(home, "services", "engine.key"),
  gatewayKey: (home: string) => inHome.runtime(home, "services", "gateway.key"),
  presets: (home: string) => inHome.runtime(home, "services", "presets.ini"),
  /** Certificates of all paired hosts, PEM. */
  peers: (home: string) => inHome.runtime(home, "services", "peers.pem"),
} as const;
