/** What `shelter undo` does about pairings and updates, which are no script's runs: a pairing is ended on both hosts, and an update has its own way back. */
import { ShelterError } from "../errors.ts";
import { readJournal } from "../keep/journal.ts";
import { createAct } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { askHost } from "../peer/ask.ts";
import { part, UNREACHED } from "../peer/part.ts";
import { MUTE } from "../peer/request.ts";
import { paired } from "../trust/store.ts";
import { partners, standingPairings } from "../trust/unpair.ts";
import type { RunReport, ScriptId } from "../unit.ts";
import type { Desk } from "./desk.ts";

/** The act that `shelter update` records itself as. */
const UPDATE: ScriptId = "08_shelter_update";

/**
 * Refuses where the last thing that was done is none that `undo` takes back: a pairing is the other host's affair too, and may have been begun there.
 * `since` is the journal's index of the run that would be taken back.
 * @throws ShelterError "last-is-pairing" or "last-is-update", with the command for it.
 */
export function refuseWhatIsNoScripts(
  probe: Probe,
  since: number,
  script: ScriptId | undefined,
): void {
  const [pairing] = standingPairings(probe);
  const updated = lastUpdate(probe);
  const before =
    script === undefined ? "" : `; what was done before it: ./bin/shelter undo ${script}`;
  if (pairing && pairing.index > Math.max(since, updated)) {
    throw new ShelterError(
      "last-is-pairing",
      "taking back the last run",
      `it is the pairing with ${pairing.peer}, which is ended on both hosts${before}`,
      ["./bin/shelter", "pair", pairing.peer, "--undo"],
    );
  }
  if (updated > since) {
    throw new ShelterError(
      "last-is-update",
      "taking back the last run",
      `it is an update of the programs, which has a way back of its own${before}`,
      ["./bin/shelter", "update", "--back"],
    );
  }
}

/** The journal's index of the last update that stands: one that was gone back from does not. -1 where there is none. */
function lastUpdate(probe: Probe): number {
  const last = readJournal(probe).findLast(
    (one) => one.kind === "end" && one.script === UPDATE && one.outcome === "changed",
  );
  if (last?.kind !== "end") return -1;
  // going back records to which release it went
  const facts = last.facts !== null && typeof last.facts === "object" ? last.facts : {};
  return "release" in facts ? -1 : last.index;
}

/**
 * Before anything is taken back: every paired host can be told. `anyway`: one that can't be goes on letting this host's keys in, and the report says so.
 * @throws ShelterError "peer-unreachable" and the like, or "not-as-root".
 */
export async function refuseWhatCannotBeTold(desk: Desk, anyway: boolean): Promise<void> {
  const { machine, probe } = desk;
  const [first] = partners(probe);
  if (first === undefined) return;
  if (probe.me.root && probe.owner.uid !== 0) {
    throw new ShelterError(
      "not-as-root",
      "taking back all runs",
      `this host is paired with ${first}; the keys and the login are the home's owner's, who has to end that, without sudo`,
      ["./bin/shelter", "pair", first, "--undo"],
    );
  }
  if (anyway) return;
  const act = createAct(machine, probe);
  for (const peer of paired(probe)) {
    const asked = await askHost(probe, act, peer);
    if (asked.answered || !UNREACHED.has(asked.failure.id)) continue;
    const { name } = peer;
    throw new ShelterError(
      asked.failure.id,
      "taking back all runs",
      `this host is paired with ${name}, which can't be told of it: ${asked.failure.why}. Nothing was taken back, and the keys stay. Try again once ${name} answers, or end this side of the pairing alone; ${name} then lets this host's keys in until its own operator ends it there`,
      ["./bin/shelter", "pair", name, "--undo", "--forget"],
    );
  }
}

/** Ends the pairing with each host; `anyway` as above. */
export async function endPairings(
  { machine, place, probe }: Desk,
  anyway: boolean,
  signal: AbortSignal,
): Promise<readonly RunReport[]> {
  const reports: RunReport[] = [];
  for (const peer of partners(probe)) {
    if (signal.aborted) break;
    const options = { machine, ...place, say: MUTE, signal };
    reports.push(await part(options, peer, anyway ? "if-it-answers" : "must"));
  }
  return reports;
}
