/** This host's status files against the journal that they are a view of: which are damaged, missing or outdated, and how they are mended. */
import { jsonProblem } from "../facts/json_place.ts";
import { inHome } from "../keep/home.ts";
import { readJournal, type End } from "../keep/journal.ts";
import { isLastWord, readStatus, setAside, writeStatus } from "../keep/status.ts";
import type { Probe } from "../machine/probe.ts";
import { ROSTER } from "../roster.ts";
import type { Call } from "../unit.ts";
import type { BadStatus } from "./structure_facts.ts";

/** Looks at the status of each script of the roster. A peer's are the peer's to mend. */
export function lookAtStatuses(probe: Probe): readonly BadStatus[] {
  const ends = lastEnds(probe);
  return ROSTER.flatMap(({ flag }): readonly BadStatus[] => {
    const path = inHome.status(probe.home, probe.host, flag);
    const kind = probe.stat(path)?.kind;
    if (kind !== undefined && kind !== "file") return []; // a link or folder is named elsewhere
    const status = readStatus(probe, flag);
    const end = ends.get(flag);
    const bad = { flag, path, inJournal: end !== undefined };
    if (status !== undefined && "damaged" in status) {
      const place = jsonProblem(probe.text(path) ?? "");
      const state = { is: "damaged", line: 1, column: 1, why: status.damaged, ...place } as const;
      return [{ ...bad, state }];
    }
    if (!end) return [];
    if (kind === undefined) return [{ ...bad, state: { is: "missing" } }];
    const old = status !== undefined && status.journal.index < end.index;
    return old ? [{ ...bad, state: { is: "older than the journal" } }] : [];
  });
}

/** Moves damaged status files aside, never deleting one, and writes anew what the journal knows of. */
export const mendStatuses: Call = ({ probe, act, say }) => {
  const ends = lastEnds(probe);
  for (const { flag, path, state } of lookAtStatuses(probe)) {
    const end = ends.get(flag);
    const aside = end ? writeStatus(probe, act, end) : setAside(probe, act, flag);
    if (state.is === "damaged" && aside !== undefined) {
      say.line(`${path}, line ${state.line}: ${state.why}. Moved aside to ${aside}`);
    }
  }
  return Promise.resolve();
};

function lastEnds(probe: Probe): ReadonlyMap<string, End> {
  const ends = new Map<string, End>();
  for (const entry of readJournal(probe)) if (isLastWord(entry)) ends.set(entry.flag, entry);
  return ends;
}
