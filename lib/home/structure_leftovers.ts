/** What 00_check_structure says of what runs leave behind: locks, temporary files, scratch space, status files. Pure. */
import { bytes, duration } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import type { BadStatus, StructureFacts } from "./structure_facts.ts";
import { isRemovable, mayPrune, provenDead } from "./structure_plan.ts";
import { few, quoted, SCRIPT, within } from "./structure_words.ts";

/** Locks of runs that are gone, that nobody can read, and that are held. */
export function lockFindings(facts: StructureFacts): readonly Finding[] {
  const dead = provenDead(facts);
  const unreadable = facts.deadLocks.filter(({ holder }) => holder === undefined);
  return [
    ...(dead.length === 0
      ? []
      : [
          {
            id: "locks-stale",
            level: "info",
            what: `${dead.length} lock(s) of runs that are gone: ${few(dead.map(({ name, holder }) => `${name} (process ${holder?.pid})`))}`,
            why: "the next run would take them over all the same; nobody waits for them",
            evidence: "process number, start time and boot id",
            fix: [SCRIPT],
          } as const,
        ]),
    ...unreadable.map(({ name, path, ageMs }): Finding => ({
      id: `lock-damaged:${name}`,
      level: "warn",
      what: `the lock ${quoted(name)} does not say whose it is`,
      why: "so nobody can be proven gone: remove it once you know that no script of ours runs",
      evidence: `${path}, last touched ${duration(ageMs)} ago`,
      fix: ["rm", "-r", path],
    })),
    ...facts.liveLocks.map(({ name, pid, script, ageMs }): Finding => ({
      id: `lock-held:${name}`,
      level: "info",
      what: `${script} is at work: process ${pid}, for ${duration(ageMs)}`,
      why: "what it uses is left alone",
      evidence: `lock ${name}`,
    })),
  ];
}

/** Temporary files, and scratch space past its age. */
export function leftoverFindings(facts: StructureFacts): readonly Finding[] {
  const found: Finding[] = [];
  const removable = facts.temporaries.filter(isRemovable);
  if (removable.length > 0) {
    found.push({
      id: "temporaries",
      level: "info",
      what: `${removable.length} temporary file(s) were never finished: ${few(removable.map(({ path }) => within(facts, path)))}`,
      why: "a run was killed or the power failed; nothing reads them",
      evidence: `${bytes(removable.reduce((sum, one) => sum + one.bytes, 0))}, older than an hour, open in no process`,
      fix: [SCRIPT],
    });
  }
  const { old, maxAgeDays } = facts.work;
  const free = old.filter(({ usedBy }) => usedBy === undefined);
  const used = old.filter(({ usedBy }) => usedBy !== undefined);
  if (free.length > 0) {
    found.push({
      id: "work-old",
      level: "info",
      what: `${free.length} thing(s) in runtime/work were not touched for ${maxAgeDays} days: ${few(free.map(({ path }) => within(facts, path)))}`,
      why: mayPrune(facts)
        ? "they only serve to go on with what was begun"
        : "they stay while another script is at work",
      evidence: `${bytes(free.reduce((sum, one) => sum + one.bytes, 0))}; work.max_age_days in shared.cfg`,
      fix: [SCRIPT],
    });
  }
  for (const { path, usedBy } of used) {
    found.push({
      id: `work-used:${within(facts, path)}`,
      level: "info",
      what: `${within(facts, path)} is old, and process ${usedBy?.pid} (${quoted(usedBy?.command ?? "?")}) uses it`,
      why: "what is in use stays",
      evidence: `/proc/${usedBy?.pid}`,
    });
  }
  return found;
}

/** A status file that is damaged, missing or older than the journal. */
export function statusFinding(
  facts: StructureFacts,
  { flag, path, state, inJournal }: BadStatus,
): Finding {
  const file = within(facts, path);
  if (state.is !== "damaged") {
    return {
      id: `status-outdated:${flag}`,
      level: "info",
      what: `${file} is ${state.is}`,
      why: "it is rebuilt from the journal, which it is a view of",
      evidence: path,
      fix: [SCRIPT],
    };
  }
  return {
    id: `status-damaged:${flag}`,
    level: "warn",
    what: `${file} is damaged: line ${state.line}, column ${state.column}: ${state.why}`,
    why: inJournal
      ? "it is moved aside, never deleted, and rebuilt from the journal"
      : "it is moved aside, never deleted; the journal knows of no run of this script, so it counts as never run",
    evidence: path,
    fix: [SCRIPT],
  };
}

/** A pairing that can't be used. It is never guessed whom a host believes: only pairing anew mends it. */
export function trustFinding(
  facts: StructureFacts,
  { peer, path, damage, aside, fix }: StructureFacts["lostTrusts"][number],
): Finding {
  const until = `until it is paired with this host anew, ${quoted(peer)} is not mirrored to, watched or asked, and the gateway refuses it`;
  const common = { id: `trust-damaged:${quoted(peer)}`, level: "warn", fix } as const;
  if (damage === undefined) {
    return {
      ...common,
      what: `what is known of ${quoted(peer)} was damaged, and is set aside in ${within(facts, path)}`,
      why: `${until}; should it be no host of yours any more, remove that file`,
      evidence: path,
    };
  }
  return {
    ...common,
    what: `${within(facts, path)} is damaged: ${damage}`,
    why: `it is moved aside, never deleted; ${until}`,
    evidence: `${path} -> ${aside}`,
  };
}
