/** Carrying out the known fixes of `fixes.ts`. Each is done with the rights of the home's owner; what needs root goes through a verb. */
import { ShelterError } from "../errors.ts";
import { freeName } from "../keep/aside.ts";
import { inHome } from "../keep/home.ts";
import { lockPath } from "../keep/lock.ts";
import type { Probe } from "../machine/probe.ts";
import { ownCommand } from "../orchestra/self.ts";
import type { CallContext } from "../unit.ts";
import type { Cure } from "./fixes.ts";
import type { Target } from "./state.ts";

/** Longest that putting a home right may take, in milliseconds. */
const REPAIR_LIMIT = 300_000;

type Hands = Pick<CallContext, "probe" | "act" | "signal">;

/** By the fix's id. */
export const CURING: Readonly<
  Record<Cure["id"], (hands: Hands, target: Target) => Promise<void> | void>
> = {
  "lock-aside": setLockAside,
  "repair-home": repairHome,
  "tuned-aside": setTunedAside,
};

/** 00_check_structure is a run of its own, with its own snapshot and record. */
async function repairHome({ probe, act, signal }: Hands): Promise<void> {
  const argv = ownCommand("00_check_structure", [
    "--yes",
    "--json",
    "--home",
    act.real(probe.home),
  ]);
  const ran = await act.run(argv, { timeout: REPAIR_LIMIT, signal });
  if (ran.code === 0) return;
  throw new ShelterError(
    "repair-failed",
    "putting the home right",
    `00_check_structure ended with ${ran.code}`,
    ["./bin/00_check_structure", "--plan"],
  );
}

/** Only a service that systemd knows to be over gets here. What holds no lock keeps its name for the next one. */
function setLockAside({ probe, act }: Hands, target: Target): void {
  const path = lockPath(probe.home, target);
  if (probe.stat(path)) act.rename(path, freeName(probe, path, "damaged"));
}

/** Fixes that would change nothing here. */
export function uselessCures(probe: Probe): readonly Cure["id"][] {
  return probe.list(profilesOf(probe)).length === 0 ? ["tuned-aside"] : [];
}

function profilesOf({ home, host }: Pick<Probe, "home" | "host">): string {
  return inHome.bench(home, host, "profiles");
}

/** The profiles stay, under another name: `--tune` measures new ones, and the person can put them back. */
function setTunedAside({ probe, act }: Hands): void {
  const profiles = profilesOf(probe);
  act.rename(profiles, freeName(probe, profiles, "aside"));
}
