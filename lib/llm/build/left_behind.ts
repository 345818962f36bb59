/** Compilers that outlive a killed run: the kernel ends the builder that we started, but not what that one had started. */
import { join } from "node:path";
import { ShelterError } from "../../errors.ts";
import { json, members } from "../../facts/text.ts";
import { bootId, processStart } from "../../keep/lock.ts";
import type { Probe } from "../../machine/probe.ts";
import type { CallContext } from "../../unit.ts";

const RECORD = "builders.json";

/** Notes which session the builders of `tree` run in: each program that we start leads one of its own, named by its process id (setsid(2)). */
export function noteBuilders({ probe, act }: CallContext, tree: string, leader: number): void {
  const record = { leader, started: processStart(probe, leader) ?? "", boot: bootId(probe) };
  act.write(join(tree, RECORD), JSON.stringify(record));
}

/** How often and for how long a builder that nobody's record names is waited for, in milliseconds. */
const LOOK_EVERY = 500;
const MOST_WAITING = 15 * 60_000;

/** Makes sure that no builder works in the tree: those of a killed run of ours are ended, others waited for. */
export async function untilAlone(context: CallContext, tree: string): Promise<void> {
  const { probe, act, say, signal } = context;
  const left = leftBehind(probe, act.real(tree), tree);
  if (left.length > 0) {
    say.line(`Ending what a killed run left working (${left.join(", ")})`);
    for (const pid of left) act.end(pid);
  }
  const until = probe.now() + MOST_WAITING;
  for (let said = false; ; said = true) {
    const busy = workingIn(probe, act.real(tree)).filter((pid) => isBuilder(probe, pid));
    if (busy.length === 0) return;
    if (!said) say.line(`Waiting for what an interrupted run left working (${busy.join(", ")})`);
    if (probe.now() > until) {
      throw new ShelterError(
        "build-busy",
        `building in ${tree}`,
        `processes ${busy.join(", ")} still work there`,
        ["kill", ...busy.map(String)],
      );
    }
    await Bun.sleep(LOOK_EVERY);
    signal.throwIfAborted();
  }
}

/**
 * Processes of the recorded session that work in the tree. A session's number is not given to another process while one of it lives, so a leader of
 * that number with another start time, or another boot, means that all of ours are gone.
 */
function leftBehind(probe: Probe, real: string, tree: string): readonly number[] {
  const { leader, started, boot } = members(json(probe.text(join(tree, RECORD)) ?? ""));
  if (typeof leader !== "number" || boot !== bootId(probe)) return [];
  const now = processStart(probe, leader);
  if (now !== undefined && now !== started) return [];
  return workingIn(probe, real).filter((pid) => sessionOf(probe, pid) === leader);
}

/** Processes whose current folder is in the tree. */
function workingIn(probe: Probe, tree: string): readonly number[] {
  return probe
    .list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const at = probe.stat(`/proc/${name}/cwd`)?.target;
      return at !== undefined && (at === tree || at.startsWith(`${tree}/`));
    })
    .map(Number);
}

/** proc(5), stat: the fields after the command's last bracket are state, parent, group, session. */
function sessionOf(probe: Probe, pid: number): number | undefined {
  const text = probe.text(`/proc/${pid}/stat`);
  const session = text
    ?.slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .at(3);
  return session === undefined ? undefined : Number(session);
}

function isBuilder(probe: Probe, pid: number): boolean {
  return BUILDERS.test(probe.text(`/proc/${pid}/comm`)?.trim() ?? "");
}
const BUILDERS =
  /^(g?make|ninja|cmake|cc1(plus)?|g\+\+.*|gcc.*|c\+\+|cc|as|ld.*|ar|nvcc|cicc|ptxas|cudafe.*|glslc|vulkan-shaders.*|ccache)$/;
