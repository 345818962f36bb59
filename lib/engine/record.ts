/** The end of a run, in all three places that tell of it: journal first, then the views derived from it. */
import { asFailure, readable } from "../errors.ts";
import { noteInHistory } from "../keep/history.ts";
import { appendEntry, type End } from "../keep/journal.ts";
import { writeStatus } from "../keep/status.ts";
import type { CallContext } from "../unit.ts";

/**
 * Appends the `end` of a run to the journal and renews history and status from it. Throws only where the journal could not be written: with its
 * line there the run is over, and a view that is behind is said and rebuilt later.
 */
export async function recordEnd(
  { probe, act, say }: Pick<CallContext, "probe" | "act" | "say">,
  entry: Omit<End, "schema" | "index" | "at" | "kind">,
): Promise<void> {
  const place = await appendEntry(probe, act, { kind: "end", ...entry });
  const end: End = { kind: "end", ...entry, schema: 1, ...place };
  for (const renew of [noteInHistory, writeStatus]) {
    try {
      renew(probe, act, end);
    } catch (error) {
      const { what, why } = asFailure(readable(error));
      say.line(
        `Recorded, but a view of the record is behind (${what}: ${why}): 00_check_structure rebuilds it`,
      );
    }
  }
}
