/** The end of a run, in all three places that tell of it: journal first, then the views derived from it. */
import { noteInHistory } from "../keep/history.ts";
import { appendEntry, type End } from "../keep/journal.ts";
import { writeStatus } from "../keep/status.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";

/** Appends the `end` of a run to the journal and renews history and status from it. */
export async function recordEnd(
  probe: Probe,
  act: Act,
  entry: Omit<End, "schema" | "index" | "at" | "kind">,
): Promise<void> {
  const at = new Date(probe.now()).toISOString();
  const index = await appendEntry(probe, act, { kind: "end", ...entry });
  const end: End = { kind: "end", ...entry, schema: 1, index, at };
  noteInHistory(probe, act, end);
  writeStatus(probe, act, end);
}
