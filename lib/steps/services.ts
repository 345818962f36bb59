/** systemd units: files, start at boot, running; taken back in the order that leaves no unit running from a file that is gone. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { CallContext, Step } from "../unit.ts";

type ServiceStep = Extract<Step, { do: "service" }>;

/** How a unit stood before a step changed it. */
interface ServiceState {
  readonly enabled: boolean;
  readonly active: boolean;
}

/** How a unit stands now. */
interface ServiceNow extends ServiceState {
  /** It ended, and systemd waits a moment before it starts it anew: it counts as active, and serves nobody. */
  readonly falling: boolean;
}

/** systemd.unit(5), without characters that a path or an option could hide in. */
const NAME = /^[a-z0-9][a-zA-Z0-9:_.@-]*\.(service|timer|socket|path|target)$/;

/** Makes the unit what the step says. How it stood before is kept in the file `memo`. */
export async function setService(
  { probe, act, signal }: CallContext,
  step: ServiceStep,
  memo: string,
): Promise<void> {
  if (!NAME.test(step.name)) {
    throw new ShelterError(
      "unit-name",
      `setting up ${step.name}`,
      "that is no name of a systemd unit",
    );
  }
  const { enabled, active } = await serviceState(probe, step.name);
  act.write(memo, JSON.stringify({ enabled, active }));
  let changed = false;
  for (const { path, content } of step.files) {
    if (probe.text(path) === content) continue;
    act.makeFolder(join(path, ".."), 0o755);
    act.write(path, content, 0o644);
    changed = true;
  }
  if (changed) await systemctl(act, ["daemon-reload"]);
  await systemctl(act, [step.enabled ? "enable" : "disable", "--quiet", "--", step.name]);
  // a unit that runs from an older file is restarted; `restart` also starts one that does not run
  const verb = step.active ? (changed ? "restart" : "start") : "stop";
  await systemctl(act, [verb, "--", step.name], false, signal);
}

/** Before a unit's files come back: what did not run before is stopped, while the file that knows how still stands. */
export async function stopIfItWasNot(probe: Probe, act: Act, name: string, memo: string) {
  const was = readMemo(probe, memo);
  if (was && !was.active) await systemctl(act, ["stop", "--", name], true);
  if (was && !was.enabled) await systemctl(act, ["disable", "--quiet", "--", name], true);
}

/** After a unit's files are back: systemd reads them again, and the unit stands as it stood. */
export async function restoreService(probe: Probe, act: Act, name: string, memo: string) {
  const was = readMemo(probe, memo);
  if (!was) return;
  await systemctl(act, ["daemon-reload"]);
  if (was.enabled) await systemctl(act, ["enable", "--quiet", "--", name]);
  if (was.active) await systemctl(act, ["restart", "--", name]);
}

/** Where the memo of a service step stands. */
export function serviceMemo(home: string, run: string, round: string, step: number): string {
  return join(inHome.snapshots(home, run), `service-${round}-${step}.json`);
}

/** Whether a unit starts at boot and whether it runs now. A unit that systemd does not know does neither. */
export async function serviceState(probe: Probe, name: string): Promise<ServiceNow> {
  const ran = await probe.run([
    "systemctl",
    "show",
    "--property=UnitFileState",
    "--property=ActiveState",
    "--property=SubState",
    "--",
    name,
  ]);
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(ran.stdout)?.[1] ?? "";
  return {
    enabled: value("UnitFileState") === "enabled",
    active: ["active", "activating", "reloading"].includes(value("ActiveState")),
    falling: value("SubState").startsWith("auto-restart"),
  };
}

function readMemo(probe: Probe, memo: string): ServiceState | undefined {
  const text = probe.text(memo);
  return text === undefined ? undefined : (JSON.parse(text) as ServiceState);
}

/** Longest wait for systemd in milliseconds; and for a unit that is ready only when it says so: an engine reads its model first. */
const [PATIENCE, START_PATIENCE] = [90_000, 35 * 60_000];

/** Runs systemctl. @throws ShelterError "systemctl-failed" with its words, unless it may fail; the reason of `signal`. */
export async function systemctl(
  act: Act,
  argv: readonly string[],
  mayFail = false,
  signal?: AbortSignal,
): Promise<void> {
  const starts = argv[0] === "start" || argv[0] === "restart";
  const timeout = starts ? START_PATIENCE : PATIENCE;
  const ran = await act.run(["systemctl", ...argv], { timeout, ...(signal ? { signal } : {}) });
  signal?.throwIfAborted();
  if (ran.code === 0 || mayFail) return;
  throw new ShelterError(
    "systemctl-failed",
    `systemctl ${argv.join(" ")}`,
    ran.stderr.trim().split("\n").slice(-3).join(" ") || `it ended with ${ran.code}`,
    ["systemctl", "status", argv.at(-1) ?? ""],
  );
}
