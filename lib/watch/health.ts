/** The host's own measurements against what it can bear. Pure. Sources of the limits stand beside them. */
import { bytes, duration } from "../report/text.ts";
import type { Condition } from "./alerts.ts";
import { isSlow, MOST_TRIES } from "./governor.ts";
import type { HostLook, Look } from "./look.ts";
import type { Health, Standing } from "./state.ts";

/** One measurement, and what the person is told where it is not well. */
export interface Measured {
  readonly health: Health;
  readonly fix?: readonly string[];
  readonly hold?: number;
}

/** A measurement must be bad for so long before it is told of, in milliseconds: a peak is no state. */
const HOLD = 60_000;
const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** What the watcher has made of it already. `governorLeft`: the governor is not set again any more. */
export interface Judged {
  readonly engine: Standing;
  readonly throttledSince: number;
  readonly governorLeft: boolean;
}

/** All measurements; those that this machine does not tell are left out. */
export function measurements(
  { host, mirror, moment, gaveUp }: Pick<Look, "host" | "mirror" | "moment" | "gaveUp">,
  { engine, throttledSince, governorLeft }: Judged,
): readonly Measured[] {
  return [
    ...disk(host),
    ...memory(host),
    ...host.gpus.flatMap(gpu),
    ...heat(host, throttledSince),
    ...governor(host, engine, governorLeft),
    ...host.slowLinks.map((what): Measured => ({
      health: { id: "pcie-link", level: "warn", what },
      hold: HOLD,
    })),
    ...power(host),
    ...mirrorAge(mirror, moment.now),
    ...release(gaveUp),
  ];
}

/** What of the measurements the person should know. */
export function conditionsOf(measured: readonly Measured[]): readonly Condition[] {
  return measured.flatMap(({ health: { id, level, what }, fix, hold }) =>
    level === "warn" || level === "fail"
      ? [{ id, level, what, ...(fix ? { fix } : {}), ...(hold === undefined ? {} : { hold }) }]
      : [],
  );
}

function disk({ disk: space }: HostLook): readonly Measured[] {
  if (!space || space.total === 0) return [];
  if (space.readOnly) {
    const what = "the home's file system is read-only: nothing can be recorded";
    return [{ health: { id: "disk", level: "fail", what }, fix: ["findmnt", "--verify"] }];
  }
  const part = space.free / space.total;
  const inodes = space.inodes === 0 ? 1 : space.inodesFree / space.inodes;
  // statuses, journal and a snapshot need a few MiB; a model or a build needs GiB
  const grave = space.free < 256 * MIB || inodes < 0.01;
  const low = space.free < 2 * GIB || part < 0.05 || inodes < 0.05;
  const names = inodes < 0.05 ? `, and names for ${space.inodesFree} files` : "";
  const what = `${bytes(space.free)} of ${bytes(space.total)} are free on the home's disk${names}`;
  return [
    {
      health: { id: "disk", level: grave ? "fail" : low ? "warn" : "ok", what },
      fix: ["./bin/00_check_structure"],
    },
  ];
}

function memory({ memory: found }: HostLook): readonly Measured[] {
  if (!found || found.total === 0) return [];
  const part = found.available / found.total;
  const what = `${bytes(found.available)} of ${bytes(found.total)} memory are available`;
  const level = part < 0.02 ? "fail" : part < 0.05 ? "warn" : "ok";
  return [{ health: { id: "memory", level, what }, fix: ["ps", "aux", "--sort=-rss"], hold: HOLD }];
}

/** A GTX 1050 Ti slows itself down at 97 °C by its maker's figures; the engine's fit leaves 256 MiB and more of its memory free. */
function gpu({ name, vram, vramUsed, celsius }: HostLook["gpus"][number]): readonly Measured[] {
  const found: Measured[] = [];
  if (vram !== undefined && vramUsed !== undefined && vram > 0) {
    const free = vram - vramUsed;
    const what = `${bytes(free)} of ${bytes(vram)} are free on ${name}`;
    const fix = ["nvidia-smi"];
    found.push({
      health: { id: "vram", level: free < 64 * MIB ? "warn" : "ok", what },
      fix,
      hold: HOLD,
    });
  }
  if (celsius !== undefined) {
    const what = `${name} is at ${celsius} °C`;
    const level = celsius >= 95 ? "fail" : celsius >= 88 ? "warn" : "ok";
    found.push({ health: { id: "gpu-heat", level, what }, hold: HOLD });
  }
  return found;
}

/** Intel's mobile processors throttle at 100 °C (TjMax of i7-7700HQ and i7-1260P, ark.intel.com). */
function heat({ celsius, throttled }: HostLook, throttledSince: number): readonly Measured[] {
  const found: Measured[] = [];
  if (celsius !== undefined) {
    const what = `the processor is at ${Math.round(celsius)} °C`;
    const level = celsius >= 99 ? "fail" : celsius >= 92 ? "warn" : "ok";
    found.push({ health: { id: "heat", level, what }, hold: HOLD });
  }
  if (throttled !== undefined) {
    const slowed = throttledSince > 0;
    const what = slowed
      ? `the processor is slowing itself down because of heat (${throttledSince} more times)`
      : "the processor does not slow itself down";
    found.push({ health: { id: "throttling", level: slowed ? "warn" : "ok", what }, hold: HOLD });
  }
  return found;
}

/** Daemons of Debian and Kali that set the governor by themselves. */
const SETTERS = ["power-profiles-daemon", "tlp", "tuned", "auto-cpufreq", "cpufrequtils"];

function governor(host: HostLook, engine: Standing, left: boolean): readonly Measured[] {
  const { governor: now } = host;
  if (now === undefined) return [];
  if (!isSlow(host, engine)) {
    return [{ health: { id: "governor", level: "ok", what: `the governor is "${now}"` } }];
  }
  const what = `the engine runs with the governor "${now}": answers begin slower than they could`;
  if (!left) return [{ health: { id: "governor", level: "info", what } }];
  const why = `${MOST_TRIES} times it was set again, and that did not last`;
  return [
    {
      health: { id: "governor", level: "warn", what: `${what}; ${why}` },
      fix: ["systemctl", "status", ...SETTERS],
    },
  ];
}

function release(gaveUp: Look["gaveUp"]): readonly Measured[] {
  if (!gaveUp) return [];
  const { release: newer, serving, fix } = gaveUp;
  const what = `release ${serving} serves, the one before: ${newer} was given up, because its gateway did not run; the command below takes it up again`;
  return [{ health: { id: "release", level: "warn", what }, fix }];
}

function power({ onBattery, lid }: HostLook): readonly Measured[] {
  const found: Measured[] = [];
  if (onBattery === true) {
    found.push({ health: { id: "battery", level: "info", what: "this host runs on battery" } });
  }
  if (lid === "closed")
    found.push({ health: { id: "lid", level: "info", what: "the lid is closed" } });
  return found;
}

function mirrorAge({ at, due }: Look["mirror"], now: number): readonly Measured[] {
  if (at === undefined || due === undefined) return [];
  const age = now - at;
  const old = age > due;
  const what = `the last mirror run ended well ${duration(Math.max(0, age))} ago`;
  const level = old ? "warn" : "ok";
  return [{ health: { id: "mirror", level, what }, fix: ["./bin/05_rsync_mirror"] }];
}
