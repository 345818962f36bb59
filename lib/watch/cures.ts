/** Carrying out the known fixes of `fixes.ts`. Each is done with the rights of the home's owner; what needs root goes through a verb. */
import { ShelterError } from "../errors.ts";
import { freeName } from "../keep/aside.ts";
import { inHome } from "../keep/home.ts";
import { ownCommand } from "../orchestra/self.ts";
import type { CallContext } from "../unit.ts";
import type { Cure } from "./fixes.ts";

/** Longest that putting a home right may take, in milliseconds. */
const REPAIR_LIMIT = 300_000;

type Hands = Pick<CallContext, "probe" | "act" | "signal">;

/** By the fix's id. */
export const CURING: Readonly<Record<Cure["id"], (hands: Hands) => Promise<void> | void>> = {
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

/** The profiles stay, under another name: `--tune` measures new ones, and the person can put them back. */
function setTunedAside({ probe, act }: Hands): void {
  const profiles = inHome.bench(probe.home, probe.host, "profiles");
  if (probe.list(profiles).length === 0) {
    throw new ShelterError("nothing-tuned", "setting the tuned profiles aside", "there are none");
  }
  act.rename(profiles, freeName(probe, profiles, "aside"));
}
