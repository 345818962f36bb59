/** The CPU's frequency governor: "performance" while a model is served or measured, and then as it was. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { CallContext, Step } from "../unit.ts";

/** One cpufreq policy: cores that change their clock together. Clocks are in Hz. */
export interface Policy {
  readonly path: string;
  readonly driver?: string;
  readonly governor?: string;
  readonly choices: readonly string[];
  /** Energy/performance preference; with an active intel_pstate this, not the governor's name, decides. */
  readonly preference?: string;
  readonly clock?: number;
  readonly most?: number;
}

const CPUFREQ = "/sys/devices/system/cpu/cpufreq";
/** What a record of earlier governors may name. */
export const GOVERNOR_FILE = /^\/sys\/devices\/system\/cpu\/cpufreq\/policy\d+\/scaling_governor$/;
export const GOVERNOR_NAME = /^[a-z_]{1,32}$/;

/** All policies of this machine; none in most virtual machines. */
export function readPolicies(probe: Pick<Probe, "list" | "text">): readonly Policy[] {
  return probe
    .list(CPUFREQ)
    .filter((name) => /^policy\d+$/.test(name))
    .map((name) => {
      const path = join(CPUFREQ, name);
      const word = (file: string) => probe.text(join(path, file))?.trim() || undefined;
      const driver = word("scaling_driver");
      const governor = word("scaling_governor");
      const preference = word("energy_performance_preference");
      const clock = hertz(word("scaling_cur_freq"));
      const most = hertz(word("cpuinfo_max_freq"));
      return {
        path,
        choices: word("scaling_available_governors")?.split(/\s+/) ?? [],
        ...(driver === undefined ? {} : { driver }),
        ...(governor === undefined ? {} : { governor }),
        ...(preference === undefined ? {} : { preference }),
        ...(clock === undefined ? {} : { clock }),
        ...(most === undefined ? {} : { most }),
      };
    });
}

/** cpufreq counts in kHz. */
function hertz(text: string | undefined): number | undefined {
  const kilo = Number(text);
  return text !== undefined && Number.isFinite(kilo) ? kilo * 1000 : undefined;
}

/** One file to set, and what it says now. */
export interface GovernorChange {
  readonly path: string;
  readonly value: "performance";
  readonly was: string;
}

/** Pure: what has to be set so that every policy runs at full clock; nothing where that is so or cannot be. */
export function governorChanges(policies: readonly Policy[]): readonly GovernorChange[] {
  return policies.flatMap(({ path, governor, choices }) =>
    governor !== undefined && governor !== "performance" && choices.includes("performance")
      ? [{ path: join(path, "scaling_governor"), value: "performance", was: governor } as const]
      : [],
  );
}

/** Pure: the same as steps of a run, put back when it ends. Only root may. */
export function governorSteps(policies: readonly Policy[], root: boolean): readonly Step[] {
  if (!root) return [];
  return governorChanges(policies).map(({ path, value }) => ({
    do: "set",
    path,
    value,
    temporary: true,
    why: "a clock that goes up and down would be measured, too",
  }));
}

/** What a holder left for the case that it is killed: which process, started when, and what was there before. */
interface Held {
  readonly pid: number;
  readonly started: string;
  readonly was: readonly { readonly path: string; readonly value: string }[];
}

/**
 * Runs `work` with the governor at "performance" where we may set it, and puts it back however `work` ends. What was there is on disk first,
 * so that the next caller puts it back after a kill. Where it can't be set, `work` runs as it is.
 */
export async function withGovernor<T>(context: CallContext, work: () => Promise<T>): Promise<T> {
  const { probe, act, say } = context;
  putBackAfterKill(context);
  const changes = probe.me.root ? governorChanges(readPolicies(probe)) : [];
  if (changes.length === 0) return await work();
  const path = heldPath(probe);
  const held: Held = {
    pid: process.pid,
    started: startedAt(probe, process.pid) ?? "",
    was: changes.map(({ path: file, was }) => ({ path: file, value: was })),
  };
  act.makeFolder(inHome.runtime(probe.home));
  act.write(path, `${JSON.stringify(held)}\n`, 0o600);
  try {
    for (const change of changes) {
      try {
        act.set(change.path, change.value);
      } catch (error) {
        say.detail({ governor: change.path, refused: String(error) }); // slower, not wrong
      }
    }
    return await work();
  } finally {
    putBack(context, held);
  }
}

/** Puts back what a killed holder left. Does nothing while the holder lives. */
export function putBackAfterKill(context: CallContext): void {
  const { probe, act } = context;
  const text = probe.text(heldPath(probe));
  if (text === undefined || !probe.me.root) return;
  const held = parseHeld(text);
  if (!held) return act.remove(heldPath(probe));
  if (startedAt(probe, held.pid) !== held.started) putBack(context, held);
}

function putBack({ probe, act, say }: CallContext, held: Held): void {
  for (const { path, value } of held.was) {
    try {
      // who changed it since then wanted it so
      if (probe.text(path)?.trim() === "performance") act.set(path, value);
    } catch (error) {
      say.line(`The governor ${path} could not be put back to ${value}: ${String(error)}`);
    }
  }
  act.remove(heldPath(probe));
}

function heldPath(probe: Probe): string {
  return inHome.runtime(probe.home, "governor.json");
}

/** Only paths of cpufreq and plain words are believed: the file is in a home, and root acts on it. */
function parseHeld(text: string): Held | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { pid, started, was } = (value ?? {}) as Partial<Held>;
  if (typeof pid !== "number" || typeof started !== "string" || !Array.isArray(was))
    return undefined;
  const good = was.every(
    (one: unknown) =>
      typeof one === "object" &&
      one !== null &&
      GOVERNOR_FILE.test(String((one as Record<string, unknown>)["path"])) &&
      GOVERNOR_NAME.test(String((one as Record<string, unknown>)["value"])),
  );
  return good ? { pid, started, was } : undefined;
}

/** When a process started, in ticks since boot (proc(5), stat, field 22); undefined where it is gone. */
function startedAt(probe: Probe, pid: number): string | undefined {
  const text = probe.text(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}
