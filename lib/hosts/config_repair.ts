/** What to say of shared.cfg, and what to do about it: shared by the scripts that look after it. Pure. */
import type { Args, Finding, Step } from "../unit.ts";
import { configError, placed, type ConfigReading } from "./config.ts";
import { DEFAULT_CONFIG_TEXT } from "./config_default.ts";

/** Where the file is, what reading it gave, and where a damaged one would go. */
export interface ConfigFacts {
  readonly path: string;
  readonly reading: ConfigReading;
  readonly aside: string;
}

/** True for a run that changes nothing. */
export function onlyLooks(want: Args): boolean {
  return want["plan"] === true || want["verify"] === true;
}

/** Findings about shared.cfg, each with its line; `looking` where nothing will be moved aside, so that only the file itself can be named. A wrong value blocks and is left to its owner; a file that is no settings file at all is set aside. */
export function configFindings(
  { path, reading, aside }: ConfigFacts,
  looking: boolean,
): readonly Finding[] {
  switch (reading.state) {
    case "absent":
      return [];
    case "ok":
      return reading.unknown.map((note) => ({
        id: `config-unknown-key:${note.key}`,
        level: "info",
        what: `shared.cfg sets ${note.key}, which no script knows`,
        why: "a misspelt key sets nothing",
        evidence: `${path}, ${placed(note)}`,
        fix: ["nano", `+${note.line}`, path],
      }));
    case "damaged":
      return [
        {
          id: "config-damaged",
          level: "warn",
          what: `shared.cfg is damaged: ${placed(reading.note)}`,
          why: "the defaults hold until it is mended; the file is moved aside whole, never deleted, and a fresh one is written",
          evidence: `${path} -> ${aside}`,
          fix: looking ? ["nano", `+${reading.note.line}`, path] : ["diff", aside, path],
        },
      ];
    case "invalid":
      return reading.problems.map((note) => ({
        id: `config-invalid:${note.key}`,
        level: "fail",
        what: `shared.cfg: ${placed(note)}`,
        why: "scripts refuse to guess what was meant",
        evidence: `${path}:${note.line}`,
        fix: ["nano", `+${note.line}`, path],
      }));
    case "denied":
    case "unreadable": {
      const error = configError(path, reading);
      return [
        {
          id: error.id,
          level: "fail",
          what: error.what,
          why: error.why,
          evidence: path,
          fix: error.fix ?? ["ls", "-l", path],
        },
      ];
    }
  }
}

/**
 * Moves a damaged shared.cfg aside, and writes a fresh one where there is none: two rounds, so that the old one is safe before the new one is there. Nothing
 * for any other state: what an operator wrote is never overwritten.
 */
export function configRepair({ path, reading, aside }: ConfigFacts): readonly Step[] {
  if (reading.state === "damaged") {
    return [{ do: "move", from: path, to: aside, why: `damaged: ${placed(reading.note)}` }];
  }
  if (reading.state !== "absent") return [];
  const why = "the settings, explained; yours from now on";
  return [{ do: "write", path, content: DEFAULT_CONFIG_TEXT, mode: 0o600, why }];
}
