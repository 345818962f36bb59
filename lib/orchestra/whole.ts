/** The shelter as a whole, as one unit sees it: do all scripts that `up` runs stand? */
import { readJournal } from "../keep/journal.ts";
import { readStatus } from "../keep/status.ts";
import type { Probe } from "../machine/probe.ts";
import type { Finding, ScriptId } from "../unit.ts";
import { boardOf, type Standing } from "./board.ts";
import { STAGES } from "./stages.ts";

/** Where each script of `up` stands. */
export interface ShelterFacts {
  readonly rows: readonly {
    readonly script: ScriptId;
    readonly standing: Standing;
    readonly why: string | null;
  }[];
}

/** Reads it off status files and journal; no script is run. */
export async function observeShelter(probe: Probe): Promise<ShelterFacts> {
  const board = boardOf((flag) => readStatus(probe, flag), readJournal(probe), probe.now());
  const ran = new Set(STAGES.map((stage) => stage.script));
  return {
    rows: board
      .filter((row) => ran.has(row.script))
      .map(({ script, standing, why }) => ({ script, standing, why: why ?? null })),
  };
}

/** One finding for each script of `up`. */
export function diagnoseShelter({ rows }: ShelterFacts): readonly Finding[] {
  return rows.map(({ script, standing, why }) =>
    standing === "done"
      ? {
          id: `stands-${script}`,
          level: "ok",
          what: `${script} stands`,
          why: "its last run ended well",
          evidence: "status",
        }
      : {
          id: `does-not-stand-${script}`,
          level: "fail",
          what: `${script} is ${standing}`,
          why: why ?? "up has not got it to stand yet",
          evidence: "status and journal",
          fix: ["./bin/shelter", "up"],
        },
  );
}
