/** This host's status files that can't be read, with the line, and what the journal says in their place. */
import { join } from "node:path";
import { jsonProblem } from "../facts/json_place.ts";
import { inHome } from "../keep/home.ts";
import { lastEnd, readStatus, statusText } from "../keep/status.ts";
import type { Probe } from "../machine/probe.ts";
import { freeName } from "./aside.ts";
import type { DamagedStatus } from "./structure_facts.ts";

/** Looks at each status file of this host. A peer's are the peer's to mend. */
export function lookAtStatuses(probe: Probe): readonly DamagedStatus[] {
  const folder = inHome.status(probe.home, probe.host);
  const damaged: DamagedStatus[] = [];
  for (const name of probe.list(folder)) {
    if (!name.endsWith(".json")) continue;
    const path = join(folder, name);
    const flag = name.slice(0, -".json".length);
    if (probe.stat(path)?.kind !== "file") continue; // a link or folder is named elsewhere
    const status = readStatus(probe, flag);
    if (status === undefined || !("damaged" in status)) continue;
    const place = jsonProblem(probe.text(path) ?? "") ?? {
      line: 1,
      column: 1,
      why: status.damaged,
    };
    const end = lastEnd(probe, flag);
    damaged.push({
      path,
      ...place,
      aside: freeName(probe, path, "damaged"),
      ...(end ? { rebuilt: statusText(probe.host, end) } : {}),
    });
  }
  return damaged;
}
