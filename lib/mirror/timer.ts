/** The timer that mirrors by itself: a systemd service that runs once and ends, and the timer that starts it. */
import type { Probe } from "../machine/probe.ts";
import { elsewhereOf } from "../services/elsewhere.ts";
import { CURRENT, SYSTEMD } from "../services/places.ts";
import { PLAIN_PATH, SANDBOX, SCRUBBED, sections } from "../services/sandbox.ts";
import { serviceState } from "../steps/services.ts";
import type { Step, UnitFile } from "../unit.ts";
import { MIRROR } from "./places.ts";

export const TIMER_UNIT = "shelter-mirror.timer";
const SERVICE_UNIT = "shelter-mirror.service";
/** Minutes between two runs. */
const EVERY = 5;

/** How the timer stands. */
export interface TimerFacts {
  readonly files: readonly UnitFile[];
  /** Both files are as they should be, the timer starts at boot and runs. */
  readonly set: boolean;
  /** Why it can't be set up; undefined where it can. */
  readonly lacks?: string;
}

/** Looks at the units. */
export async function lookAtTimer(probe: Probe): Promise<TimerFacts> {
  const places = [probe.home, ...elsewhereOf(probe)];
  const files = unitFiles(probe, places);
  const lacks =
    probe.stat("/run/systemd/system") === undefined
      ? "systemd does not run here"
      : !places.every((path) => PLAIN_PATH.test(path))
        ? "the path of the home or of the models holds characters that systemd gives a meaning of its own"
        : probe.stat(CURRENT) === undefined
          ? "the programs that services run from are not installed yet"
          : undefined;
  const same = files.every(({ path, content }) => probe.text(path) === content);
  const state = same ? await serviceState(probe, TIMER_UNIT) : undefined;
  return {
    files,
    set: state?.enabled === true && state.active,
    ...(lacks === undefined ? {} : { lacks }),
  };
}

/** Sets the timer up. Pure. */
export function timerStep({ files }: TimerFacts): Step {
  return {
    do: "service",
    name: TIMER_UNIT,
    files,
    enabled: true,
    active: true,
    why: `mirrors every ${EVERY} minutes`,
  };
}

/** systemd.service(5), systemd.timer(5). The delay is random, so that two hosts do not call each other at the same moment. */
function unitFiles(
  { home, owner: { uid, gid } }: Probe,
  places: readonly string[],
): readonly UnitFile[] {
  const service = sections({
    Unit: ["Description=Mountain Shelter: mirror to the other host", "After=network-online.target"],
    Service: [
      "Type=oneshot",
      `User=${uid}`,
      `Group=${gid}`,
      `Environment="SHELTER_HOME=${home}"`,
      `UnsetEnvironment=${SCRUBBED}`,
      "UMask=0077",
      `ExecStart=${CURRENT}/shelter ${MIRROR}`,
      "TimeoutStartSec=6h",
      "Nice=10",
      "IOSchedulingClass=idle",
      "MemoryMax=1G",
      ...SANDBOX,
      "ProtectHome=read-only",
      // one that is not there, as where a disk is not mounted, holds up nothing else
      ...places.map((path) => `ReadWritePaths="${path === home ? "" : "-"}${path}"`),
      "PrivateDevices=yes",
      "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    ],
  });
  const timer = sections({
    Unit: ["Description=Mountain Shelter: mirror to the other host, time and again"],
    Timer: [
      "OnBootSec=2min",
      `OnUnitInactiveSec=${EVERY}min`,
      "RandomizedDelaySec=60",
      "Persistent=no",
    ],
    Install: ["WantedBy=timers.target"],
  });
  return [
    { path: `${SYSTEMD}/${SERVICE_UNIT}`, content: service },
    { path: `${SYSTEMD}/${TIMER_UNIT}`, content: timer },
  ];
}
