/** What 00_check_structure repairs: only what is safe whatever it was meant for. Pure. */
import { configRepair } from "../hosts/config_repair.ts";
import { inHome } from "../keep/home.ts";
import type { Step } from "../unit.ts";
import { FOLDER_MODE, isInTheWay } from "./layout.ts";
import { TEMPORARY_AGE } from "./structure.ts";
import type { DeadLock, Leftover, Stranger, StructureFacts, WrongMode } from "./structure_facts.ts";

/** The steps: folders, then owners and modes, then damaged files aside and anew, then what is left over. */
export function planStructure(facts: StructureFacts): readonly Step[] {
  if (!facts.isHome) return [];
  return [
    ...missingFolders(facts),
    ...attributes(facts),
    ...(facts.scaffolded ? configRepair(configOf(facts)) : []),
    ...badTrusts(facts),
    ...badStatuses(facts),
    ...facts.temporaries.filter(isRemovable).map(({ path }): Step => ({
      do: "remove",
      path,
      why: "a temporary file that nobody finished",
    })),
    ...deadLocks(facts),
    ...oldWork(facts),
  ];
}

/** shared.cfg as its own rules want it. */
export function configOf(facts: StructureFacts) {
  return { path: inHome.config(facts.home), reading: facts.config, aside: facts.configAside };
}

/** Where nothing was scaffolded yet, that is 02_scaffold_dirs' part. A parent that is a link or a file is not built into. */
function missingFolders({ scaffolded, folders }: StructureFacts): readonly Step[] {
  if (!scaffolded) return [];
  const shut = folders.filter(isInTheWay).map(({ path }) => `${path}/`);
  return folders
    .filter(
      ({ standing, path }) => standing === "absent" && !shut.some((one) => path.startsWith(one)),
    )
    .map(({ path, what }) => ({ do: "dir", path, mode: FOLDER_MODE, why: `missing: ${what}` }));
}

/** One step per entry, owner and mode together. What is moved aside in this round is looked at again in the next. */
function attributes(facts: StructureFacts): readonly Step[] {
  const moving = new Set(
    facts.statuses.filter(({ state }) => state.is === "damaged").map(({ path }) => path),
  );
  for (const { path } of damagedTrusts(facts)) moving.add(path);
  if (facts.config.state === "damaged") moving.add(inHome.config(facts.home));
  const adopted = new Set(
    facts.strangers.filter((one) => mayAdopt(facts, one)).map(({ path }) => path),
  );
  const modes = new Map(
    facts.wrongModes.filter((one) => mayChange(facts, one, adopted)).map((one) => [one.path, one]),
  );
  const paths = [...new Set([...adopted, ...modes.keys()])].filter((path) => !moving.has(path));
  // what is old in runtime/work goes
  // what stays keeps its modes right
  const going = mayPrune(facts)
    ? facts.work.old.filter(({ usedBy }) => usedBy === undefined).map(({ path }) => path)
    : [];
  const staying = paths.filter((path) => !going.some((one) => isWithin(one, path)));
  return oncePerFile(facts, staying.sort()).map((path) => {
    const mode = modes.get(path);
    const reasons = [
      ...(adopted.has(path) ? ["it belongs to the home"] : []),
      ...(mode ? [mode.fault] : []),
    ];
    return {
      do: "attr",
      path,
      ...(mode ? { mode: mode.want } : {}),
      ...(adopted.has(path) ? { owner: facts.owner } : {}),
      why: reasons.join(", "),
    };
  });
}

function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** Of a file with several names the first alone: changing one changes all. */
function oncePerFile(
  { strangers, wrongModes }: StructureFacts,
  paths: readonly string[],
): readonly string[] {
  const files = new Map([...strangers, ...wrongModes].map(({ path, same }) => [path, same]));
  const seen = new Set<string>();
  return paths.filter((path) => {
    const same = files.get(path);
    if (same === undefined) return true;
    if (seen.has(same)) return false;
    seen.add(same);
    return true;
  });
}

/** Only what is ours, or becomes ours in the same step: root changes nothing that belongs to a third person. */
export function mayChange(
  { me, owner }: Pick<StructureFacts, "me" | "owner">,
  one: WrongMode,
  adopted: ReadonlySet<string> = new Set(),
): boolean {
  if (!me.root) return one.uid === me.uid;
  return one.uid === owner.uid || adopted.has(one.path);
}

/**
 * Only root can, and only what root itself left in folders of ours: under another name the same file may be one of the system's (a hard link), and
 * giving that away would give away the system.
 */
export function mayAdopt(
  { me, owner }: Pick<StructureFacts, "me" | "owner">,
  one: Stranger,
): boolean {
  if (!me.root || one.uid !== 0 || owner.uid === 0 || !one.ours) return false;
  return one.kind === "dir" || (one.kind === "file" && one.namesOutside === 0);
}

/** Old enough, and nobody has it open. */
export function isRemovable({ ageMs, usedBy }: Leftover): boolean {
  return ageMs > TEMPORARY_AGE && usedBy === undefined;
}

/** Those whose holder is known to be gone; one that can't be read proves nothing. */
export function provenDead({ deadLocks: all }: StructureFacts): readonly DeadLock[] {
  return all.filter(({ holder }) => holder !== undefined);
}

/** Pairings that are damaged where they stand. */
function damagedTrusts({ lostTrusts }: StructureFacts) {
  return lostTrusts.filter(({ damage }) => damage !== undefined);
}

/** Out of the way, so that they can be made anew. */
function badTrusts(facts: StructureFacts): readonly Step[] {
  return damagedTrusts(facts).map(({ path, aside, damage }) => ({
    do: "move",
    from: path,
    to: aside,
    why: `damaged: ${damage}`,
  }));
}

function badStatuses({ statuses }: StructureFacts): readonly Step[] {
  if (statuses.length === 0) return [];
  return [
    {
      do: "call",
      name: "mend_statuses",
      args: { flags: statuses.map(({ flag }) => flag) },
      undo: { never: "view-of-the-journal" },
      why: "status files are a view of the journal",
    },
  ];
}

function deadLocks(facts: StructureFacts): readonly Step[] {
  const names = provenDead(facts).map(({ name }) => name);
  if (names.length === 0) return [];
  return [
    {
      do: "call",
      name: "clear_locks",
      args: { names },
      undo: { never: "lock-of-the-dead" },
      why: "their holders are gone",
    },
  ];
}

/** Nothing goes while another script is at work: it may be about to go on with it. */
export function mayPrune({ liveLocks }: Pick<StructureFacts, "liveLocks">): boolean {
  return !liveLocks.some(({ name }) => WORKS.test(name));
}
/** Scripts that build or fetch in runtime/work. */
const WORKS = /^0[1-9]_(?!.*cli$)/;

function oldWork(facts: StructureFacts): readonly Step[] {
  const paths = facts.work.old.filter(({ usedBy }) => usedBy === undefined).map(({ path }) => path);
  if (paths.length === 0 || !mayPrune(facts)) return [];
  return [
    {
      do: "call",
      name: "prune_work",
      args: { paths, count: paths.length, older_than_days: facts.work.maxAgeDays },
      undo: { never: "work-folder-only" },
      why: "nothing touched it for so long",
    },
  ];
}
