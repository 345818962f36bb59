/** What systemd knows of a service: asked only while the service does not answer by itself, because each question starts a process. */
import { pairs } from "../facts/text.ts";
import type { Probe } from "../machine/probe.ts";
import { lastWordIn, type LastWord } from "../services/last_word.ts";
import type { ServiceLook } from "./look.ts";

const ASKED = [
  "LoadState",
  "ActiveState",
  "SubState",
  "Result",
  "UnitFileState",
  "ExecMainStatus",
  "StatusText",
  "ExecMainStartTimestampMonotonic",
] as const;

/** Longest wait for systemd, in milliseconds. */
const PATIENCE = 5000;

/** Asks systemd. `whenActive` is the answer for a unit that runs: then it is the service itself that does not answer. */
export async function unitLook(
  probe: Pick<Probe, "run">,
  name: string,
  whenActive: ServiceLook,
): Promise<ServiceLook> {
  const argv = ["systemctl", "show", `--property=${ASKED.join(",")}`, "--", name];
  const ran = await probe.run(argv, { timeout: PATIENCE });
  if (ran.code !== 0) return { state: "unknown", why: "systemd does not answer" };
  return judgeUnit(ran.stdout, whenActive);
}

/** Pure: `systemctl show` as a look. Words by systemd.unit(5) and org.freedesktop.systemd1(5). */
export function judgeUnit(text: string, whenActive: ServiceLook): ServiceLook {
  const told = pairs(text, "=");
  const is = (key: (typeof ASKED)[number]) => told.get(key) ?? "";
  if (is("LoadState") === "not-found") return { state: "absent" };
  switch (is("ActiveState")) {
    case "active":
      return whenActive;
    case "activating":
    case "reloading":
    case "deactivating":
      return { state: "starting" };
    case "failed":
      return failed(is("Result"), is("ExecMainStatus"), lastWordIn(is("StatusText")));
    case "inactive": {
      const file = is("UnitFileState");
      if (file === "disabled" || file === "masked") {
        return { state: "stopped", why: `its unit is ${file}` };
      }
      const ran = is("ExecMainStartTimestampMonotonic");
      if (is("Result") === "success" && ran !== "0" && ran !== "") {
        return { state: "stopped", why: "it was stopped with systemctl" };
      }
      return { state: "down", why: "it was not started" };
    }
    default:
      return { state: "unknown", why: "systemd does not tell" };
  }
}

function failed(result: string, status: string, word: LastWord | undefined): ServiceLook {
  const named = (why: string, cause?: string): ServiceLook => ({
    state: "down",
    why,
    ...(cause === undefined ? {} : { cause }),
  });
  // what a service says itself is nearer to the cause than how it ended; the want of memory it can't tell
  if (word && result !== "oom-kill") return named(word.why, word.id);
  switch (result) {
    case "oom-kill":
      return named("the kernel ended it for want of memory", "out-of-memory");
    case "watchdog":
      return named("it gave no sign of life, so systemd ended it");
    case "timeout":
      return named("it did not become ready in time", "engine-not-ready");
    case "exit-code":
      return named(`it ended with ${status}`);
    case "signal":
    case "core-dump":
      return named(`it was ended by signal ${status}`);
    case "start-limit-hit":
      return named("systemd gave it up for starting too often");
    default:
      return named(`systemd says: ${result === "" ? "failed" : result}`);
  }
}
