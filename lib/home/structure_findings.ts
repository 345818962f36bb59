/** What 00_check_structure says of a home. Pure. One finding per kind of fault, with the first few names. */
import { ALLOW_COMMAND } from "../hosts/alert_command.ts";
import { configFindings, onlyLooks } from "../hosts/config_repair.ts";
import { damageFix, damageLine } from "../keep/journal_damage.ts";
import { parityFindings } from "../peer/parity_findings.ts";
import { printable } from "../report/text.ts";
import type { Args, Finding } from "../unit.ts";
import { isInTheWay } from "./layout.ts";
import type { Fault } from "./modes.ts";
import { noHome, spaceFindings } from "./structure_ground.ts";
import {
  leftoverFindings,
  lockFindings,
  statusFinding,
  trustFinding,
} from "./structure_leftovers.ts";
import { configOf, mayAdopt, mayChange } from "./structure_plan.ts";
import type { StructureFacts, WrongMode } from "./structure_facts.ts";
import { few, quoted, SCRIPT, within } from "./structure_words.ts";

/** All findings, gravest first within each group. */
export function diagnoseStructure(facts: StructureFacts, want: Args): readonly Finding[] {
  if (!facts.isHome) return [noHome(facts)];
  return [
    ...spaceFindings(facts),
    ...folderFindings(facts),
    ...configFindings(configOf(facts), onlyLooks(want)),
    ...commandFindings(facts),
    ...modeFindings(facts),
    ...ownerFindings(facts),
    ...linkFindings(facts),
    ...lockFindings(facts),
    ...leftoverFindings(facts),
    ...facts.statuses.map((one) => statusFinding(facts, one)),
    ...journalFindings(facts),
    ...facts.lostTrusts.map((one) => trustFinding(facts, one)),
    ...parityFindings(facts.parity),
  ];
}

function journalFindings({ journal }: StructureFacts): readonly Finding[] {
  return journal.map((one, index) => ({
    id: `journal-damaged:${index}`,
    level: "warn",
    what: printable(damageLine(one)),
    why: "status files and snapshots tell what they can in its place; it stays as it is, and no run is taken back because of it. Look at the disk",
    evidence: one.path,
    fix: damageFix(one),
  }));
}

function commandFindings({ commandToAllow, host }: StructureFacts): readonly Finding[] {
  if (!commandToAllow) return [];
  return [
    {
      id: "alerts-command-not-allowed",
      level: "warn",
      what: `the command for alerts is not run on ${host}: ${printable(JSON.stringify(commandToAllow))}`,
      why: "shared.cfg also comes from other hosts, so it is run only where its words were allowed",
      evidence: "shared.cfg",
      fix: [...ALLOW_COMMAND],
    },
  ];
}

function folderFindings(facts: StructureFacts): readonly Finding[] {
  const found: Finding[] = facts.folders.filter(isInTheWay).map(({ path, standing, what }) => ({
    id: `in-the-way:${within(facts, path)}`,
    level: "fail",
    what: `${within(facts, path)} should be a folder (${what}) and ${standing === "leads-nowhere" ? "is a link that leads nowhere" : "is something else"}`,
    why: "only you know what it is, so it stays",
    evidence: path,
    fix: ["mv", path, `${path}.aside`],
  }));
  const missing = facts.folders.filter(({ standing }) => standing === "absent");
  if (missing.length > 0) {
    found.push({
      id: "folders-missing",
      level: facts.scaffolded ? "warn" : "info",
      what: facts.scaffolded
        ? `${missing.length} folder(s) of the home are gone: ${few(missing.map(({ path }) => within(facts, path)))}`
        : `${missing.length} folder(s) of the home are still to be made`,
      why: facts.scaffolded ? "they are made anew, empty" : "02_scaffold_dirs makes them",
      evidence: facts.home,
      fix: facts.scaffolded ? [SCRIPT] : ["./bin/02_scaffold_dirs"],
    });
  }
  if (facts.oddities.length > 0) {
    found.push({
      id: "oddities",
      level: "warn",
      what: `${facts.oddities.length} socket(s), pipe(s) or device(s) are in the home: ${few(facts.oddities.map((path) => within(facts, path)))}`,
      why: "nothing of ours leaves such a thing behind, and none is touched",
      evidence: facts.oddities[0] ?? "",
      fix: ["ls", "-la", facts.oddities[0] ?? facts.home],
    });
  }
  return found;
}

const FAULTS: Readonly<Record<Fault, { readonly what: string; readonly why: string }>> = {
  "open-record": {
    what: "settings or records can be read by others",
    why: "they tell what runs here, for whom and with what",
  },
  "open-secret": {
    what: "secrets can be read by others",
    why: "a secret that others can read is none",
  },
  "open-folder": {
    what: "private folders can be entered by others",
    why: "a closed folder protects whatever is in it",
  },
  writable: {
    what: "entries can be written by others",
    why: "whoever can write to a script or a setting decides what runs as you",
  },
  "set-id": {
    what: "files run as their owner, whoever starts them",
    why: "no program of ours needs that",
  },
  "locked-out": {
    what: "entries are closed even to their owner",
    why: "their own scripts can't use them",
  },
};

function modeFindings(facts: StructureFacts): readonly Finding[] {
  const adopted = new Set(
    facts.strangers.filter((one) => mayAdopt(facts, one)).map(({ path }) => path),
  );
  return (Object.keys(FAULTS) as Fault[]).flatMap((fault) => {
    const all = facts.wrongModes.filter((one) => one.fault === fault);
    if (all.length === 0) return [];
    const theirs = all.filter((one) => !mayChange(facts, one, adopted));
    return [
      {
        id: `mode-${fault}`,
        level: "warn",
        what: `${FAULTS[fault].what}: ${few(all.map((one) => `${within(facts, one.path)} (${octal(one)})`))}`,
        why: FAULTS[fault].why,
        evidence: `${all.length} of them${theirs.length > 0 ? `, ${theirs.length} not ours to change` : ""}`,
        fix: theirs.length > 0 && !facts.me.root ? ["sudo", SCRIPT] : [SCRIPT],
      },
    ];
  });
}

function ownerFindings(facts: StructureFacts): readonly Finding[] {
  if (facts.strangers.length === 0) return [];
  const { strangers, me, owner } = facts;
  const root = { ...me, root: true };
  const mendable = strangers.filter((one) => mayAdopt({ me: root, owner }, one));
  const rest = strangers.filter((one) => !mayAdopt({ me: root, owner }, one));
  const said = (list: typeof strangers) =>
    few(list.map(({ path, uid }) => `${within(facts, path)} (uid ${uid})`));
  return [
    ...(mendable.length === 0
      ? []
      : [
          {
            id: "owner-root",
            level: "warn",
            what: `${mendable.length} entries belong to root and not to the home's owner: ${said(mendable)}`,
            why: "a run as root left them; the owner's own runs can't change them",
            evidence: `the home belongs to uid ${owner.uid}`,
            fix: me.root ? [SCRIPT] : ["sudo", SCRIPT],
          } as const,
        ]),
    ...(rest.length === 0
      ? []
      : [
          {
            id: "owner-other",
            level: "warn",
            what: `${rest.length} entries belong to somebody else: ${said(rest)}`,
            why: "whose they are, and whether they have a second name outside the home, only you know: they stay as they are",
            evidence: `the home belongs to uid ${owner.uid}`,
            fix: ["ls", "-lan", rest[0]?.path ?? facts.home],
          } as const,
        ]),
  ];
}

function linkFindings(facts: StructureFacts): readonly Finding[] {
  const said = (list: typeof facts.wanderers) =>
    few(list.map(({ path, target }) => `${within(facts, path)} -> ${quoted(target)}`));
  const lost = facts.wanderers.filter(({ real }) => real === undefined);
  const gone = facts.wanderers.filter(
    ({ real, because }) => real !== undefined && because === undefined,
  );
  return [
    ...(gone.length === 0
      ? []
      : [
          {
            id: "links-leave",
            level: "warn",
            what: `${gone.length} link(s) leave the home: ${said(gone)}`,
            why: "what is behind them is neither mirrored nor backed up with the home, and others may change it",
            evidence: gone[0]?.real ?? "",
            fix: ["ls", "-ld", gone[0]?.path ?? facts.home],
          } as const,
        ]),
    ...(lost.length === 0
      ? []
      : [
          {
            id: "links-dangle",
            level: "warn",
            what: `${lost.length} link(s) lead nowhere: ${said(lost)}`,
            why: "what they named is gone; they are not removed, because their name may be all that is left of it",
            evidence: lost[0]?.path ?? "",
            fix: ["ls", "-l", lost[0]?.path ?? facts.home],
          } as const,
        ]),
  ];
}

function octal({ mode, want }: WrongMode): string {
  const text = (bits: number) => bits.toString(8).padStart(4, "0");
  return `${text(mode)}, ${text(want)} wanted`;
}
