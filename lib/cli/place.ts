/** Which home a command works in, and as which host. */
import { dirname, join, resolve } from "node:path";
import { ShelterError, UsageError } from "../errors.ts";
import { hostName } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe, type Probe } from "../machine/probe.ts";
import { COMPILED } from "../release.ts";
import type { HostName } from "../unit.ts";

/** Where a run takes place. */
export interface Place {
  readonly home: string;
  readonly host: HostName;
}

/**
 * The home: `--home`, else $SHELTER_HOME, else the folder above the binary's bin/ (from source: above scripts/) where it holds shared.cfg or scripts/,
 * else ~/.mountain_shelter of the caller.
 * @throws UsageError for a folder that can be none; ShelterError "home-denied" for one that belongs to somebody else and may not be read.
 */
export async function findPlace(machine: Machine, wanted: string | undefined): Promise<Place> {
  const home = homeOf(machine, wanted);
  const probe = createProbe(machine, home, "");
  for (const path of [home, probe.real(home) ?? home]) {
    if (!isSystems(path) && path !== machine.me.home) continue;
    const why = "a home is a folder of its own: modes and owners in it are put right";
    const usual = join(machine.me.home, ".mountain_shelter");
    throw new UsageError("usage", `the home ${home}`, why, [
      ...["./bin/shelter", "status", "--home", usual],
    ]);
  }
  refuseForeign(machine, probe, wanted);
  return { home, host: await hostName(probe) };
}

/** A home of somebody else's that may not be read here looks like one in which nothing ever ran: nothing true can be said of it, and nothing done. */
function refuseForeign(machine: Machine, probe: Probe, wanted: string | undefined): void {
  const { home, me } = probe;
  const uid = ownerOf(probe, home);
  if (uid === undefined || uid === me.uid) return;
  const folders = [home, ...["status", "logs", "runtime"].map((name) => join(home, name))];
  const closed = folders.find((path) => /^E(ACCES|PERM)/.test(probe.unlistable(path) ?? ""));
  if (closed === undefined) return;
  const owner = userOf(probe, uid);
  const told = wanted ?? machine.environment["SHELTER_HOME"];
  throw new ShelterError(
    "home-denied",
    `the home ${home}`,
    `it belongs to ${owner.startsWith("#") ? `user ${owner.slice(1)}` : owner}, and ${me.user} may not read ${closed === home ? "it" : closed}`,
    ["sudo", "-u", owner, "./bin/shelter", "status", ...(told ? ["--home", home] : [])],
  );
}

/** Who owns a folder; of one that may not even be looked at, who owns the folder that closes it. */
function ownerOf(probe: Probe, path: string): number | undefined {
  const entry = probe.stat(probe.real(path) ?? path);
  if (entry) return entry.uid;
  return path === dirname(path) ? undefined : ownerOf(probe, dirname(path));
}

/** A user as sudo(8) takes one: by name, or by number after "#". */
function userOf(probe: Probe, uid: number): string {
  const rows = (probe.text("/etc/passwd") ?? "").split("\n").map((row) => row.split(":"));
  return rows.find((row) => row[2] === String(uid))?.[0] ?? `#${uid}`;
}

/** Folders of the system (FHS 3.0), and those in which everybody has something. */
function isSystems(path: string): boolean {
  return (
    /^\/(?:bin|boot|etc|lib\w*|proc|sbin|sys|usr(?!\/local\/))(?:\/|$)/.test(path) ||
    /^\/(?:|dev|dev\/shm|home|media|mnt|opt|root|run|srv|tmp|usr\/local|var|var\/\w+)$/.test(path)
  );
}

function homeOf(machine: Machine, wanted: string | undefined): string {
  const told = wanted ?? machine.environment["SHELTER_HOME"];
  if (told) return resolve(told);
  const probe = createProbe(machine, "/", "");
  const own = COMPILED ? dirname(dirname(process.execPath)) : dirname(dirname(import.meta.dirname));
  const isHome = probe.stat(inHome.config(own)) ?? probe.stat(join(own, "scripts"));
  return isHome ? own : join(machine.me.home, ".mountain_shelter");
}
