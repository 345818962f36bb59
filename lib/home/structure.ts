/** The eyes of 00_check_structure: one walk over the home, and a look at locks, status files, space and settings. Reads only. */
import { dirname, join } from "node:path";
import { isCommandAllowed } from "../hosts/alert_command.ts";
import { type ConfigReading, lookAtConfig } from "../hosts/config.ts";
import { DEFAULT_CONFIG } from "../hosts/settings.ts";
import { inHome } from "../keep/home.ts";
import { journalDamage } from "../keep/journal_damage.ts";
import { isDone, readStatus } from "../keep/status.ts";
import { TEMPORARY_PREFIX } from "../machine/durable.ts";
import type { Entry, Probe } from "../machine/probe.ts";
import type { ParityFacts } from "../peer/parity_facts.ts";
import type { LostTrust } from "../trust/store.ts";
import { ROSTER } from "../roster.ts";
import { freeName } from "../keep/aside.ts";
import { usersOf } from "./in_use.ts";
import { lookAtFolders } from "./layout.ts";
import { lookAtLocks } from "./locks.ts";
import { SECRET_FOLDERS, wrongMode } from "./modes.ts";
import { lookAtStatuses } from "./statuses.ts";
import type { Leftover, Stranger, StructureFacts, Wanderer, WrongMode } from "./structure_facts.ts";
import { lookAbove, mountForbidsPrograms } from "./surroundings.ts";
import { oldWork } from "./work.ts";

/** A temporary file younger than this may be in use by a run that is just now writing. */
export const TEMPORARY_AGE = 60 * 60 * 1000;

/** Never looked into: git's own folder and what a package manager put there. */
const NOT_OURS = new Set([".git", "node_modules"]);
/** Walked for their size alone: copies that keep the modes and names of what they are copies of, and scratch space. */
const SCRATCH = ["runtime/snapshots/", "runtime/quarantine/", "runtime/work/"];
/** Locks come and go as we look, and each is shut from the start. */
const UNJUDGED = [...SCRATCH, "runtime/locks/"];
/** Amid scratch space: what is secret is judged all the same. */
const isSecretPlace = (relative: string) =>
  SECRET_FOLDERS.some((folder) => relative === folder || relative.startsWith(`${folder}/`));
/** Folders that only our programs write to: what root left there belongs to the home. */
const ONLY_OURS =
  /^(?:bin|status|logs|runtime|models|venv|shared\.cfg[^/]*|history_main\.log)(?:\/|$)/;

/** Looks at the whole home. */
export async function observeStructure(probe: Probe): Promise<StructureFacts> {
  const config = await lookAtConfig(probe);
  const maxAgeDays = (config.state === "ok" ? config.config : DEFAULT_CONFIG).work.maxAgeDays;
  const seen = walk(probe);
  const users = usersOf(
    probe,
    seen.temporaries.map(({ path }) => path),
  );
  const locks = lookAtLocks(probe);
  const work = oldWork(seen.work, probe.now(), maxAgeDays, inHome.work(probe.home));
  const workUsers = usersOf(
    probe,
    work.old.map(({ path }) => path),
  );
  const space = probe.space(existing(probe, probe.home));
  const unsavedEdit = join(probe.home, ".shared.cfg.swp");
  const { parity, lost } = await pairingsOf(probe);
  const scaffolded =
    config.state !== "absent" ||
    seen.configCopies.length > 0 ||
    isDone(readStatus(probe, "dirs_scaffolded"));
  return {
    home: probe.home,
    host: probe.host,
    me: { uid: probe.me.uid, root: probe.me.root },
    owner: probe.owner,
    scaffolded,
    isHome: scaffolded || looksLikeHome(probe),
    counted: seen.counted,
    folders: lookAtFolders(probe),
    wrongModes: seen.wrongModes,
    strangers: seen.strangers,
    wanderers: seen.wanderers,
    oddities: seen.oddities,
    ...locks,
    temporaries: seen.temporaries.map((one) => withUser(one, users)),
    work: { maxAgeDays, bytes: work.bytes, old: work.old.map((one) => withUser(one, workUsers)) },
    statuses: lookAtStatuses(probe),
    journal: journalDamage(probe),
    config,
    ...lacksAllowance(probe, config),
    configAside: freeName(probe, inHome.config(probe.home), "damaged"),
    ...(space ? { space } : {}),
    lostTrusts: lost.map((one) => ({ ...one, aside: freeName(probe, one.path, "damaged") })),
    ...(parity ? { parity } : {}),
    aside: {
      openAbove: lookAbove(probe),
      fromFuture: seen.fromFuture,
      quarantine: seen.quarantine,
      configCopies: seen.configCopies,
      ...(probe.stat(unsavedEdit) ? { unsavedEdit } : {}),
      noExec: mountForbidsPrograms(probe),
    },
  };
}

/** The command for alerts, where it is not allowed on this host. */
function lacksAllowance(
  probe: Probe,
  config: ConfigReading,
): Pick<StructureFacts, "commandToAllow"> {
  const command = config.state === "ok" ? config.config.alerts.command : undefined;
  if (command === undefined || isCommandAllowed(probe, command)) return {};
  return { commandToAllow: command };
}

/** What a run of ours leaves in any folder that it is sent to, also where it was refused: no sign of a home. */
const OWN_RECORDS = new Set(["runtime", "logs", "status", "history_main.log"]);

/** A clone, a folder with our programs, one where a script once ended well, or one that holds nothing yet. */
function looksLikeHome(probe: Probe): boolean {
  const { home } = probe;
  return (
    probe.list(home).every((name) => OWN_RECORDS.has(name)) ||
    ["scripts/00_check_structure.ts", "bin/00_check_structure", "bin/shelter"].some((name) =>
      probe.stat(join(home, name)),
    ) ||
    ROSTER.some(({ flag }) => isDone(readStatus(probe, flag)))
  );
}

/** What reads pairings and asks other hosts is loaded only where there are some. */
async function pairingsOf(probe: Probe): Promise<{
  readonly parity?: ParityFacts | undefined;
  readonly lost: readonly LostTrust[];
}> {
  if (probe.list(inHome.trust(probe.home)).length === 0) return { lost: [] };
  const [{ observeParity }, { lostTrusts }] = await Promise.all([
    import("../peer/parity_facts.ts"),
    import("../trust/store.ts"),
  ]);
  return { parity: await observeParity(probe), lost: lostTrusts(probe) };
}

/** One walk over everything, keeping only what stands out. */
function walk(probe: Probe) {
  const counted = { files: 0, folders: 0, links: 0, bytes: 0 };
  const quarantine = { entries: 0, bytes: 0 };
  const wrongModes: WrongMode[] = [];
  const strangers: {
    readonly entry: Entry;
    readonly same: string | undefined;
    readonly ours: boolean;
  }[] = [];
  /** Names found of each file that has more than one. */
  const names = new Map<string, number>();
  const wanderers: Wanderer[] = [];
  const oddities: string[] = [];
  const temporaries: Leftover[] = [];
  const work: Entry[] = [];
  const configCopies: string[] = [];
  let fromFuture = 0;
  const { home, owner } = probe;
  const now = probe.now();
  const realHome = probe.real(home) ?? home;
  const judge = (entry: Entry, relative: string) => {
    const { path, kind, uid, mode } = entry;
    const same = kind === "file" && entry.links > 1 ? `${entry.device}:${entry.inode}` : undefined;
    if (same !== undefined) names.set(same, (names.get(same) ?? 0) + 1);
    if (entry.mtime > now + FUTURE) fromFuture += 1;
    if (relative.startsWith("runtime/quarantine/")) {
      quarantine.entries += 1;
      quarantine.bytes += kind === "file" ? entry.size : 0;
    }
    if (relative.startsWith("runtime/work/")) work.push(entry);
    if (UNJUDGED.some((folder) => relative.startsWith(folder)) && !isSecretPlace(relative)) return;
    if (kind === "other") oddities.push(path);
    if (uid !== owner.uid) {
      strangers.push({ entry, same, ours: ONLY_OURS.test(relative) });
    }
    if (kind === "link") {
      const wanderer = whereTo(probe, realHome, entry, relative);
      if (wanderer) wanderers.push(wanderer);
      return;
    }
    if (kind === "other") return;
    const wrong = wrongMode(relative, entry);
    if (wrong) {
      const found = { path, kind, uid, mode, want: wrong.mode, fault: wrong.fault };
      wrongModes.push(same === undefined ? found : { ...found, same });
    }
    if (relative.startsWith("shared.cfg.damaged-")) configCopies.push(path);
  };
  const top = probe.stat(home);
  if (top) judge(top, "");
  probe.tree(home, (entry) => {
    const name = entry.path.slice(entry.path.lastIndexOf("/") + 1);
    if (NOT_OURS.has(name)) return true;
    const relative = entry.path.slice(home.length + 1);
    if (
      name.startsWith(TEMPORARY_PREFIX) &&
      !SCRATCH.some((folder) => relative.startsWith(folder))
    ) {
      temporaries.push({
        path: entry.path,
        kind: entry.kind,
        ageMs: now - entry.mtime,
        bytes: entry.size,
      });
      return true;
    }
    if (entry.kind === "dir") counted.folders += 1;
    else if (entry.kind === "link") counted.links += 1;
    else {
      counted.files += 1;
      counted.bytes += entry.size;
    }
    judge(entry, relative);
    return false;
  });
  return {
    counted,
    quarantine,
    wrongModes,
    strangers: strangers.map(({ entry, same, ours }): Stranger => ({
      path: entry.path,
      kind: entry.kind,
      uid: entry.uid,
      // a folder's links are its subfolders
      namesOutside: same === undefined ? 0 : entry.links - (names.get(same) ?? 0),
      ours,
      ...(same === undefined ? {} : { same }),
    })),
    wanderers,
    oddities,
    temporaries,
    work,
    configCopies,
    fromFuture,
  };
}

/** Clocks of file systems and of the system may differ by this much. */
const FUTURE = 2 * 60 * 1000;

/** Where links may leave the home to, and why. */
const MAY_LEAVE: readonly { readonly where: RegExp; readonly because: string }[] = [
  { where: /^bin\//, because: "a name for a program may lead anywhere" },
  { where: /^venv\//, because: "a Python environment links to the system's Python" },
  { where: /^runtime\/tools\//, because: "a tool may be the system's own" },
];

function whereTo(
  probe: Probe,
  realHome: string,
  { path, target = "" }: Entry,
  relative: string,
): Wanderer | undefined {
  const real = probe.real(path);
  if (real === undefined) return { path, target };
  if (real === realHome || real.startsWith(`${realHome}/`)) return undefined;
  const because = MAY_LEAVE.find(({ where }) => where.test(relative))?.because;
  return { path, target, real, ...(because === undefined ? {} : { because }) };
}

function withUser(one: Leftover, users: ReturnType<typeof usersOf>): Leftover {
  const usedBy = users.get(one.path);
  return usedBy ? { ...one, usedBy } : one;
}

/** The nearest folder that is there: a home that is still to be made has the space of its parent. */
function existing(probe: Probe, path: string): string {
  let up = path;
  while (up !== "/" && probe.stat(up) === undefined) up = dirname(up);
  return up;
}
