/** What a host is called: a name that is safe as a folder, an ssh alias and a line of a log. */
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import type { Config } from "./settings.ts";

/** A host name of ours: one label as of RFC 1123, in lower case. Safe as a file name, never an option, never a path. */
export const HOST_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Names that would collide with a folder or a word of ours. */
export const RESERVED_HOST_NAMES: ReadonlySet<string> = new Set(["rescue", "all"]);

/** Any system host name as one of ours: its first label, in lower case, what is not allowed in a label replaced by "-". "localhost" where nothing is left. */
export function safeHostName(system: string): HostName {
  const label = (system.trim().split(".")[0] ?? "")
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  if (label === "") return "localhost";
  return RESERVED_HOST_NAMES.has(label) ? `${label}-host` : label;
}

/** The running kernel's host name; /etc/hostname where /proc is not there. */
export function systemHostName(probe: Pick<Probe, "text">): string {
  return probe.text("/proc/sys/kernel/hostname") ?? probe.text("/etc/hostname") ?? "";
}

/**
 * This host's name: of the entry in shared.cfg whose `hostname` or name is the system's, else the system's own, made safe.
 * `config` is left out where shared.cfg is missing or damaged: a broken file must not change who we are.
 */
export function hostNameFrom(system: string, config?: Pick<Config, "hosts">): HostName {
  const whole = system.trim().toLowerCase();
  const safe = safeHostName(system);
  const entry =
    config?.hosts.find((host) => host.hostname?.toLowerCase() === whole) ??
    config?.hosts.find((host) => host.name === safe);
  return entry?.name ?? safe;
}
