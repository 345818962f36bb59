/** A fake systemd: what it has read of each unit, whether it starts at boot and whether it runs, kept in a file of the fake machine. */
import type { FakeFile, FakeProgram, FakeWorld } from "./fake_machine.ts";

/** A unit as systemd knows it. `loaded` is its file's text when it was last read. */
export interface KnownUnit {
  readonly loaded: string;
  readonly enabled: boolean;
  readonly active: boolean;
  /** Seconds that its process has run; a day where not said. */
  readonly ranFor?: number;
}

/** Seconds since the fake machine's boot. */
const UPTIME = 100_000;
const DAY = 86_400;
/** Of its main process, above any real one. */
const pidOf = (unit: string) => 5_000_000 + (Bun.hash.crc32(unit) % 100_000);

const STATE = "/run/fake-systemd";
const FOLDER = "/etc/systemd/system";
const UNKNOWN: KnownUnit = { loaded: "", enabled: false, active: false };

/** Files of a machine on which systemd runs and knows these units. */
export function systemdFiles(
  units: Readonly<Record<string, KnownUnit>> = {},
): Readonly<Record<string, FakeFile>> {
  return {
    "/run/systemd/system": { folder: true },
    [FOLDER]: { folder: true },
    [STATE]: JSON.stringify(units),
    "/proc/uptime": `${UPTIME}.00 1.00\n`,
    ...Object.fromEntries(
      Object.entries(units).map(([name, { ranFor = DAY }]) => [
        `/proc/${pidOf(name)}/stat`,
        `${pidOf(name)} (shelter) S ${"0 ".repeat(18)}${(UPTIME - ranFor) * 100} 0`,
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(units).map(([name, { loaded }]) => [`${FOLDER}/${name}`, loaded]),
    ),
  };
}

/** What systemd knows now. */
export function knownUnits(world: Pick<FakeWorld, "read">): Record<string, KnownUnit> {
  return JSON.parse(world.read(STATE)) as Record<string, KnownUnit>;
}

/** systemctl, as far as the shelter uses it. A unit that was never read can't be started, and one whose file is gone is forgotten at a reload. */
export const systemctl: FakeProgram = (argv, world) => {
  const units = knownUnits(world);
  const name = argv.at(-1) ?? "";
  const unit = units[name] ?? UNKNOWN;
  const keep = (change: Partial<KnownUnit>) => {
    units[name] = { ...unit, ...change };
    world.write(STATE, JSON.stringify(units));
    return {};
  };
  const fileOf = (one: string) =>
    world.exists(`${FOLDER}/${one}`) ? world.read(`${FOLDER}/${one}`) : "";
  switch (argv[1]) {
    case "show":
      return {
        stdout: `UnitFileState=${unit.enabled ? "enabled" : "disabled"}\nActiveState=${unit.active ? "active" : "inactive"}\nMainPID=${unit.active ? pidOf(name) : 0}\n`,
      };
    case "daemon-reload": {
      const left: Record<string, KnownUnit> = {};
      for (const one of new Set([...Object.keys(units), ...filesIn(world)])) {
        const read = { ...(units[one] ?? UNKNOWN), loaded: fileOf(one) };
        if (read.loaded !== "" || read.active) left[one] = read;
      }
      world.write(STATE, JSON.stringify(left));
      return {};
    }
    case "enable":
    case "disable":
      if (argv[1] === "enable" && fileOf(name) === "") return { code: 1, stderr: "no such unit" };
      return unit === UNKNOWN && argv[1] === "disable"
        ? {}
        : keep({ enabled: argv[1] === "enable" });
    case "stop":
      return unit === UNKNOWN ? { code: 5, stderr: "not loaded" } : keep({ active: false });
    case "start":
    case "restart":
      return unit.loaded === "" ? { code: 5, stderr: "Unit not found" } : keep({ active: true });
    case "try-restart":
    case "reset-failed":
      return {};
    default:
      return { code: 1, stderr: `a verb that the fake does not know: ${argv[1]}` };
  }
};

function filesIn(world: FakeWorld): readonly string[] {
  return [...new Bun.Glob("*.{service,socket}").scanSync(world.path(FOLDER))];
}
