/** shared.cfg, the operator's one settings file (YAML): which hosts there are, what they should hold, and how much is kept. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Failure, HostName } from "../unit.ts";
import { hostNameFrom, systemHostName } from "./name.ts";
import {
  DEFAULT_CONFIG,
  type Config,
  type ConfigNote,
  type ConfigReading,
  type Retention,
} from "./settings.ts";

export { DEFAULT_CONFIG } from "./settings.ts";
export type { BuildTarget, Config, ConfigNote, ConfigReading, Floor } from "./settings.ts";

/** Reads and checks shared.cfg. Never throws: a finding can be made of every state. */
export async function lookAtConfig(probe: Pick<Probe, "home" | "read">): Promise<ConfigReading> {
  const reading = probe.read(inHome.config(probe.home));
  if (reading.state === "error") return { state: "unreadable", why: reading.why };
  if (reading.state !== "ok") return { state: reading.state };
  if (!saysAnything(reading.text)) return { state: "ok", config: DEFAULT_CONFIG, unknown: [] };
  const { parseConfig } = await import("./config_parse.ts");
  return parseConfig(reading.text);
}

/**
 * The settings, defaults filled in; all defaults where there is no shared.cfg.
 * Throws a ShelterError with line and reason for a file that can't be used.
 */
export async function readConfig(probe: Pick<Probe, "home" | "read">): Promise<Config> {
  const reading = await lookAtConfig(probe);
  if (reading.state === "ok") return reading.config;
  if (reading.state === "absent") return DEFAULT_CONFIG;
  throw configError(inHome.config(probe.home), reading);
}

/** What is wrong with a shared.cfg that can't be used, and the next command; undefined where there is none or it can be. */
export async function configTrouble(
  probe: Pick<Probe, "home" | "read">,
): Promise<Failure | undefined> {
  const reading = await lookAtConfig(probe);
  if (reading.state === "ok" || reading.state === "absent") return undefined;
  return configError(inHome.config(probe.home), reading).failure();
}

/** How many generations stay; the defaults where shared.cfg can't be used, because what is wrong with it is 00_check_structure's to say. */
export async function retentionOf(probe: Pick<Probe, "home" | "read">): Promise<Retention> {
  const reading = await lookAtConfig(probe);
  return (reading.state === "ok" ? reading.config : DEFAULT_CONFIG).retention;
}

/** The error for a shared.cfg that can't be used. */
export function configError(
  path: string,
  reading: Exclude<ConfigReading, { readonly state: "ok" | "absent" }>,
): ShelterError {
  switch (reading.state) {
    case "damaged":
      return new ShelterError("config-damaged", `${path} is damaged`, placed(reading.note), [
        "./bin/00_check_structure",
      ]);
    case "invalid":
      return new ShelterError(
        "config-invalid",
        `${path} has a value that is not allowed`,
        reading.problems.map(placed).join("; "),
        ["nano", `+${reading.problems[0]?.line ?? 1}`, path],
      );
    case "denied":
      return new ShelterError(
        "config-denied",
        `${path} may not be read`,
        "its mode or owner forbids it",
        ["sudo", "./bin/00_check_structure"],
      );
    case "unreadable":
      return new ShelterError("config-unreadable", `${path} can't be read`, reading.why, [
        "ls",
        "-l",
        path,
      ]);
  }
}

/** A note as one line of text: where, what, why. */
export function placed(note: ConfigNote): string {
  return `line ${note.line}, column ${note.column}: ${note.key === "" ? "" : `${note.key}: `}${note.why}`;
}

/** This host's name; see `hostNameFrom`. A shared.cfg that can't be used counts as none here: the script that reads it says so. */
export async function hostName(probe: Pick<Probe, "home" | "read" | "text">): Promise<HostName> {
  const reading = await lookAtConfig(probe);
  return hostNameFrom(systemHostName(probe), reading.state === "ok" ? reading.config : undefined);
}

/** A file of comments and blank lines alone sets nothing; the YAML reader (6 ms) is then not loaded. */
export function saysAnything(text: string): boolean {
  return text.split("\n").some((line) => !/^\s*(?:#|$)/.test(line));
}
