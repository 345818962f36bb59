/**
 * The operator's command for alerts stands in shared.cfg, which other hosts may write too. So it runs only on a host whose own operator allowed exactly this
 * command there; the note of that never leaves the host.
 */
import { inHome } from "../keep/home.ts";
import { sha256 } from "../machine/hash.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";

/** What allows it. */
export const ALLOW_COMMAND = ["./bin/shelter", "watch", "--allow-command"] as const;

/** True where the operator of this host allowed exactly these words here. */
export function isCommandAllowed(
  probe: Pick<Probe, "home" | "text">,
  command: readonly string[],
): boolean {
  return probe.text(inHome.allowedCommand(probe.home))?.trim() === digestOf(command);
}

/** Notes that exactly these words are allowed on this host; what was allowed before is not any more. */
export function allowCommand(
  { home }: Pick<Probe, "home">,
  act: Pick<Act, "write" | "makeFolder">,
  command: readonly string[],
): void {
  act.makeFolder(inHome.runtime(home, "state"));
  act.write(inHome.allowedCommand(home), `${digestOf(command)}\n`, 0o600);
}

function digestOf(command: readonly string[]): string {
  return sha256(JSON.stringify(command));
}
