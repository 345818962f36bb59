/** Finishing what a killed run left: its `begin` stands in the journal without an `end`. */
import { asFailure } from "../errors.ts";
import { type Begin, openRuns, readJournal } from "../keep/journal.ts";
import { takeLock } from "../keep/lock.ts";
import { inHome } from "../keep/home.ts";
import { lastStarted, type Manifest, NOTHING_STARTED, readManifest } from "../keep/snapshot.ts";
import { fixOtherHome, otherHome, whyOtherHome } from "../keep/whose.ts";
import { writtenBy } from "../keep/wrote.ts";
import { endTemporary, takeBack } from "../steps/take_back.ts";
import { endOf, recordLostEnd } from "./over.ts";
import { recordEnd } from "./record.ts";
import { type Kept, keptFix, keptLine } from "../steps/spare.ts";
import type { AnyUnit, CallContext, Finding, ScriptId } from "../unit.ts";

/**
 * Undoes every killed run of this unit, whose lock the caller holds, and of others whose lock is free. An undo that was killed is finished.
 * What somebody changed since is kept.
 * @returns what the person has to know of it.
 */
export async function recoverKilledRuns(
  unit: AnyUnit,
  context: CallContext,
  others?: (script: ScriptId) => Promise<AnyUnit | undefined>,
): Promise<readonly Finding[]> {
  const told: Finding[] = [];
  for (const begin of openRuns(readJournal(context.probe))) {
    if (begin.script === unit.id) {
      told.push(...(await finish(unit, context, begin)));
      continue;
    }
    const other = await others?.(begin.script);
    if (!other) continue;
    const lock = await takeLock(context.probe, context.act, other.id, { script: unit.id });
    if ("busy" in lock) continue; // it lives, or somebody else is finishing it
    try {
      // it may have ended between the look and the lock
      const still = openRuns(readJournal(context.probe)).some((one) => one.run === begin.run);
      if (still) told.push(...(await finish(other, context, begin)));
    } finally {
      await lock.release();
    }
  }
  return told;
}

async function finish(
  unit: AnyUnit,
  outer: CallContext,
  begin: Begin,
): Promise<readonly Finding[]> {
  const { probe, act, say } = outer;
  // taking back is not itself cut short by a signal: half an undo is the state that nobody wants
  const context: CallContext = { ...outer, signal: new AbortController().signal };
  const ended = endOf(probe, unit, begin, readJournal(probe));
  if (ended !== undefined) return [await recordLostEnd(outer, unit, begin, ended)];
  say.line(`An earlier run of ${begin.script} was cut off (${begin.run}): taking it back first`);
  const target = begin.undoes ?? begin.run;
  const left: string[] = [];
  const kept: Kept[] = [];
  let manifest: Manifest | undefined;
  try {
    manifest = readManifest(probe, target);
  } catch (error) {
    // told once and kept: else no script could ever run again, not even the one that says what is wrong
    left.push(asFailure(error).what + ": " + asFailure(error).why);
  }
  const home = manifest && otherHome(probe, manifest);
  if (home !== undefined) {
    say.line(`  ${whyOtherHome(probe, home)}: nothing is taken back`);
    left.push(`taking back ${target}: ${whyOtherHome(probe, home)}`);
  } else if (manifest) {
    const started =
      begin.undoes === undefined ? (lastStarted(probe, target) ?? NOTHING_STARTED) : undefined;
    const sparing = { written: writtenBy(probe, manifest, started), kept };
    left.push(...(await takeBack(unit, context, manifest, started, sparing)));
    if (begin.undoes === undefined) left.push(...(await endTemporary(unit, context, manifest)));
  }
  const clean = begin.undoes === undefined ? "interrupted" : "changed";
  await recordEnd(context, {
    run: begin.run,
    script: begin.script,
    outcome: left.length > 0 ? "broken" : clean,
    took_ms: 0,
    steps: begin.undoes === undefined ? left.length : begin.steps.length,
    ...(begin.undoes === undefined ? {} : { undoes: begin.undoes }),
    because: "cut-off",
    why: [
      `the run did not end by itself: taken back by a later run of ${unit.id}`,
      ...kept.map(keptLine),
    ].join("; "),
    ...(left.length > 0 ? { left } : {}),
    log_sha256: "",
    flag: unit.flag,
    fingerprint: "",
    facts: null,
  });
  if (left.length === 0) act.remove(inHome.snapshots(probe.home, target));
  for (const one of kept) say.line(`  ${keptLine(one)}`);
  const elsewhere: readonly Finding[] =
    home === undefined
      ? []
      : [
          {
            id: `other-home-${begin.run}`,
            level: "warn",
            what: `${begin.script} was cut off, and is not taken back from here`,
            why: whyOtherHome(probe, home),
            evidence: inHome.snapshots(probe.home, target),
            fix: fixOtherHome(probe, home, begin.script),
          },
        ];
  const spared = kept.map((one, index) => ({
    id: `kept-of-${begin.run}-${index}`,
    level: "warn" as const,
    what: `${begin.script} was cut off and is taken back, but not all of it`,
    why: keptLine(one),
    evidence: one.now,
    fix: keptFix(one),
  }));
  return [...elsewhere, ...spared];
}
