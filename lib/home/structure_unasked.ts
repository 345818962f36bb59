/** What nobody asked 00_check_structure about. Pure; each is gone when its reason is. */
import { bytes } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import type { StructureFacts } from "./structure_facts.ts";

/** Above this, scratch space is worth a word. */
const MUCH_WORK = 5 * 1024 ** 3;

/** Ranked, gravest first. */
export function unaskedOfStructure({ aside, work, home }: StructureFacts): readonly Finding[] {
  const found: Finding[] = [];
  const [open] = aside.openAbove;
  if (open !== undefined) {
    found.push({
      id: "open-above",
      level: "warn",
      what: `others may write to ${open}, a folder above the home`,
      why: "whoever may rename a folder can put another one in its place, whatever the modes inside",
      evidence: aside.openAbove.join(", "),
      fix: ["chmod", "go-w", open],
    });
  }
  if (aside.noExec) {
    found.push({
      id: "no-exec",
      level: "warn",
      what: "no program can be run from the home: its file system is mounted noexec",
      why: "the engine is built there and started from there",
      evidence: "/proc/self/mounts",
      fix: ["findmnt", "-T", home],
    });
  }
  if (aside.unsavedEdit !== undefined) {
    found.push({
      id: "unsaved-edit",
      level: "info",
      what: "an editor holds a change of shared.cfg that was never saved",
      why: "it is open somewhere, or the editor died with it",
      evidence: aside.unsavedEdit,
      fix: ["vim", "-r", `${home}/shared.cfg`],
    });
  }
  if (aside.fromFuture > 0) {
    found.push({
      id: "from-the-future",
      level: "info",
      what: `${aside.fromFuture} entries were changed in the future`,
      why: "the clock went back: until it has caught up, their age can't be told and nothing old of them is removed",
      evidence: "times of change later than now",
      fix: ["timedatectl", "status"],
    });
  }
  if (aside.configCopies.length > 0) {
    found.push({
      id: "config-copies",
      level: "info",
      what: `${aside.configCopies.length} damaged shared.cfg(s) still wait for you`,
      why: "what was right in them holds again only when you copy it over",
      evidence: aside.configCopies.join(", "),
      fix: ["diff", aside.configCopies.at(-1) ?? "", `${home}/shared.cfg`],
    });
  }
  if (aside.quarantine.entries > 0) {
    found.push({
      id: "quarantine",
      level: "info",
      what: `${aside.quarantine.entries} damaged thing(s) in quarantine take ${bytes(aside.quarantine.bytes)}`,
      why: "nothing of ours ever deletes them",
      evidence: `${home}/runtime/quarantine`,
      fix: ["ls", "-la", `${home}/runtime/quarantine`],
    });
  }
  if (work.bytes > MUCH_WORK) {
    found.push({
      id: "work-large",
      level: "info",
      what: `runtime/work holds ${bytes(work.bytes)}`,
      why: `build trees and partial downloads go by themselves only after ${work.maxAgeDays} days`,
      evidence: `${home}/runtime/work`,
      fix: ["du", "-xhd2", `${home}/runtime/work`],
    });
  }
  return found;
}
