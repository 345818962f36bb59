/** Debian packages that `up` misses: where we are not root but somebody sits at a terminal with sudo, it asks and lets sudo do it. */
import { askYesNo, canAsk } from "../cli/prompt.ts";
import { EXIT, Interrupted } from "../errors.ts";
import { createAct } from "../machine/act.ts";
import { pause } from "../machine/pause.ts";
import { commandLine } from "../report/text.ts";
import type { RunReport } from "../unit.ts";
import type { Conductor } from "./conduct.ts";
import type { Desk } from "./desk.ts";
import { ownCommand } from "./self.ts";

/** The finding of 01_validate_prereqs that its `--yes` as root does something about. */
const MISSING = "packages-missing";

/** Milliseconds within which a signal that ended a child has surely reached us too. */
const SIGNAL_LAG = 200;

/** Runs 01_validate_prereqs as root, if the person agrees. @returns whether it went well. @throws Interrupted on Ctrl-C, at the question, at sudo's or later. */
export async function installAsRoot(
  { machine, place, probe, want }: Desk,
  report: RunReport,
  { say, signal }: Pick<Conductor, "say" | "signal">,
): Promise<boolean> {
  if (report.error?.id !== MISSING) return false; // nothing else is mended by installing
  const sudo = probe.which("sudo");
  if (probe.me.root || sudo === undefined || !canAsk(want) || signal.aborted) return false;
  const command = [sudo, ...ownCommand(report.script, ["--yes", "--home", place.home])];
  say.line(`${report.script}: ${report.error.what}`);
  // the question stays short: one that is wider than the terminal is drawn twice
  say.line(`To install it: ${commandLine(command)}`);
  if (!(await askYesNo("Install it now?", true))) return false;
  const ran = await createAct(machine, probe).run(command, { terminal: true, signal });
  // Ctrl-C at the password goes to both of us, and its end may be heard before the signal is
  if (ran.code !== 0) await pause(SIGNAL_LAG, signal);
  signal.throwIfAborted();
  // sudo may give the program a terminal of its own: then Ctrl-C reaches that alone
  if (ran.code === EXIT.interrupted) throw new Interrupted("Ctrl-C");
  return ran.code === 0;
}
