/** What the inventory says of itself: who the machine is, what changed, what could not be read and how it could. */
import { isDebianLike } from "../facts/os.ts";
import type { Finding } from "../unit.ts";
import { isKnown, valueOf, type Unknown } from "./known.ts";
import type { InventoryFacts } from "./observe.ts";
import { comparison } from "./plan.ts";

/** Findings about the taking itself. Only a document that may not be read blocks. */
export function diagnoseInventory(facts: InventoryFacts): readonly Finding[] {
  return [
    ...storedFindings(facts),
    recognised(facts),
    ...changeFindings(facts),
    ...rootWouldAdd(facts),
    ...toolsMissing(facts),
    ...notReadable(facts),
  ];
}

function storedFindings({ stored, path }: InventoryFacts): readonly Finding[] {
  if (stored.state === "denied") {
    return [
      {
        id: "inventory-denied",
        level: "fail",
        what: `the stored inventory ${path} may not be read`,
        why: "without it nothing can be said of what changed, and it is never overwritten unread",
        evidence: path,
        fix: ["sudo", "chown", "--reference", path.slice(0, path.lastIndexOf("/")), path],
      },
    ];
  }
  if (stored.state !== "damaged") return [];
  return [
    {
      id: "inventory-damaged",
      level: "warn",
      what: `the stored inventory ${path} is damaged`,
      why: `${stored.why}; it is set aside and a new one is taken`,
      evidence: path,
    },
  ];
}

function recognised({ stable: { machine } }: InventoryFacts): Finding {
  const { profile, vendor, product, family } = machine;
  const named = [vendor, product, family].map(valueOf).filter((one) => one !== undefined);
  const says = named.length > 0 ? named.join(", ") : "nothing of itself";
  return {
    id: "machine",
    level: profile === "plain" ? "info" : "ok",
    what:
      profile === "plain"
        ? "this is neither phantom's nor shadow's hardware, but a plain host"
        : `this is ${profile}'s hardware`,
    why: `its firmware says ${says}`,
    evidence: "/sys/class/dmi/id",
  };
}

function changeFindings(facts: InventoryFacts): readonly Finding[] {
  const compared = comparison(facts);
  if (!compared) return [];
  const { since, fresh, changes } = compared;
  return changes.map(({ text, loss }, index) => ({
    id: `changed-${index + 1}`,
    level: fresh && loss ? "warn" : "info",
    what: text,
    why: `${fresh ? "" : "the last change, "}since the inventory of ${since}`,
    evidence: facts.path,
  }));
}

function rootWouldAdd({ stable, root }: InventoryFacts): readonly Finding[] {
  const hidden = unknowns(stable).filter(({ because }) => because === "denied");
  if (hidden.length === 0 || root) return [];
  const what = [...new Set(hidden.map(({ unknown }) => unknown.replace("root would add: ", "")))];
  return [
    {
      id: "root-would-add",
      level: "info",
      what: `root would add: ${what.join("; ")}`,
      why: "the kernel shows these to root only; what root saw once stays known to later runs",
      evidence: "read as a user",
      fix: ["sudo", "./bin/01_host_inventory"],
    },
  ];
}

const TOOLS: readonly (readonly [reason: RegExp, program: string, what: string])[] = [
  [/^smartctl is not installed/, "smartmontools", "the health of the disks"],
  [/^dmidecode is not installed/, "dmidecode", "the memory modules, slot by slot"],
];

function toolsMissing({ stable }: InventoryFacts): readonly Finding[] {
  const reasons = unknowns(stable).map(({ unknown }) => unknown);
  const missing = TOOLS.filter(([reason]) => reasons.some((one) => reason.test(one)));
  if (missing.length === 0) return [];
  const packages = missing.map(([, name]) => name);
  return [
    {
      id: "tools-missing",
      level: "info",
      what: `${packages.join(" and ")} would add: ${missing.map(([, , what]) => what).join("; ")}`,
      why: "no other source on this machine tells",
      evidence: "not found on the PATH",
      ...(isDebianLike(stable.os) ? { fix: ["sudo", "apt-get", "install", ...packages] } : {}),
    },
  ];
}

function notReadable({ stable, moving }: InventoryFacts): readonly Finding[] {
  return unknowns({ stable, moving })
    .filter(({ because }) => because === "failed")
    .map(({ unknown }, index) => ({
      id: `unreadable-${index + 1}`,
      level: "unknown",
      what: `a fact could not be read: ${unknown}`,
      why: "it is said as unknown rather than guessed",
      evidence: unknown,
    }));
}

/** Every unknown fact below a value. */
function unknowns(value: unknown): readonly Unknown[] {
  if (typeof value !== "object" || value === null) return [];
  if (!isKnown(value)) return [value];
  return Object.values(value).flatMap(unknowns);
}
