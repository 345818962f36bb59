/** Which home a command works in, and as which host. */
import { dirname, join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { hostName } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe } from "../machine/probe.ts";
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
 */
export async function findPlace(machine: Machine, wanted: string | undefined): Promise<Place> {
  const home = homeOf(machine, wanted);
  const probe = createProbe(machine, home, "");
  for (const path of [home, probe.real(home) ?? home]) {
    if (!isSystems(path) && path !== machine.me.home) continue;
    const why = "a home is a folder of its own: modes and owners in it are put right";
    throw new UsageError("usage", `the home ${home}`, why);
  }
  return { home, host: await hostName(probe) };
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
