/** The two kinds of host, each with its watcher. */
import type { HostEntry } from "../hosts/settings.ts";
import type { HostName, ScriptId } from "../unit.ts";

/** phantom, and shadow with a GPU behind a PCIe link to watch. */
export type Kind = "phantom" | "shadow";

/** The script of each kind of host. */
export const WATCHER: Readonly<Record<Kind, ScriptId>> = {
  phantom: "06_phantom_watchdog",
  shadow: "06_shadow_control",
};

/** Which watcher a host gets: by its name, or by that word among its roles in shared.cfg; every other host is phantom's kind. Pure. */
export function kindOf(host: HostName, entry: Pick<HostEntry, "roles"> | undefined): Kind {
  const words = [host, ...(entry?.roles ?? [])];
  return words.includes("shadow") ? "shadow" : "phantom";
}
