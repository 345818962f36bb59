/** The two kinds of host, each with its watcher. */
import { lookAtConfig } from "../hosts/config.ts";
import type { HostEntry } from "../hosts/settings.ts";
import type { Probe } from "../machine/probe.ts";
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

/** The kind of a host by this home's shared.cfg; undefined where that can't be used, because a role could stand in it. */
export async function kindIn(
  probe: Pick<Probe, "home" | "read">,
  host: HostName,
): Promise<Kind | undefined> {
  const reading = await lookAtConfig(probe);
  if (reading.state === "absent") return kindOf(host, undefined);
  if (reading.state !== "ok") return undefined;
  return kindOf(
    host,
    reading.config.hosts.find(({ name }) => name === host),
  );
}
