/** What is wrong with a journal: lines that were acknowledged and can't be read, entries that are gone, or all of it. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";
import { inHome } from "./home.ts";
import { journalFiles, parseEntry, textOf } from "./journal.ts";
import { hasActed } from "./snapshot.ts";

/** One place of the journal. */
export interface JournalDamage {
  readonly path: string;
  /** Counted from 1; left out where it is no line's. */
  readonly line?: number;
  readonly why: string;
  /** Index of the last entry before it that can be read; -1 where there is none. */
  readonly after: number;
}

/**
 * Looks through this host's journal. A line that was cut off amid writing is no damage: it was never acknowledged, so the next entry has its index.
 * @throws ShelterError "journal-unreadable"
 */
export function journalDamage(probe: Probe): readonly JournalDamage[] {
  const damage: JournalDamage[] = [];
  const runs = new Set<string>();
  let last = -1;
  let unread: (JournalDamage & { readonly whole: boolean })[] = [];
  for (const path of journalFiles(probe, probe.host)) {
    const lines = textOf(probe, path).split("\n");
    for (const [at, text] of lines.entries()) {
      if (text === "") continue;
      const entry = parseEntry(text);
      const line = at + 1;
      if (!entry) {
        const ended = at < lines.length - 1;
        if (ended)
          unread.push({ path, line, why: NO_ENTRY, after: last, whole: text.endsWith("}") });
        continue;
      }
      const missing = entry.index - last - 1;
      damage.push(...unread.filter(({ whole }) => whole || missing > 0).map(place));
      if (missing > unread.length) {
        const why = `${missing - unread.length} entries before it are gone`;
        damage.push({ path, line, why, after: last });
      }
      unread = [];
      last = Math.max(last, entry.index);
      runs.add(entry.run);
    }
  }
  damage.push(...unread.map(place));
  const lost = probe
    .list(inHome.snapshots(probe.home))
    .filter((run) => !runs.has(run) && hasActed(probe, run));
  const [first] = lost;
  if (first === undefined) return damage;
  const what = lost.length === 1 ? "a run" : `${lost.length} runs`;
  const path = inHome.journal(probe.home, probe.host);
  const why = `it names nothing of ${what} whose snapshot is there: ${join(inHome.snapshots(probe.home), first)}`;
  return [...damage, { path, why, after: last }];
}

const NO_ENTRY = "it is no entry, so what it told of a run is lost";

function place({ path, line, why, after }: JournalDamage): JournalDamage {
  return { path, ...(line === undefined ? {} : { line }), why, after };
}

/** For the person: where and what. */
export function damageLine({ path, line, why }: JournalDamage): string {
  return `the journal is damaged: ${path}${line === undefined ? "" : `, line ${line}`}: ${why}`;
}

/** Shows the place. */
export function damageFix({ path, line }: JournalDamage): readonly string[] {
  return line === undefined ? ["ls", "-la", path] : ["sed", "-n", `${line}p`, path];
}
