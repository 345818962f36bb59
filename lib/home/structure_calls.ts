/** What no step can say: clearing a dead holder's lock without taking a living one's, and dropping old work. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { takeLock } from "../keep/lock.ts";
import type { Call, Json } from "../unit.ts";
import { usersOf } from "./in_use.ts";
import { lookAtLocks } from "./locks.ts";
import { mayPrune } from "./structure_plan.ts";

/** Takes each named lock over from its dead holder and gives it back. One that somebody living took meanwhile stays theirs. */
export const clearLocks: Call = async ({ probe, act }, args) => {
  for (const name of names(args["names"])) {
    if (!/^[\w.-]+$/.test(name))
      throw new ShelterError("lock-name", `clearing the lock ${name}`, "that is no name of a lock");
    const lock = await takeLock(probe, act, name, { script: "00_check_structure" });
    if (!("busy" in lock)) await lock.release();
  }
};

/** Removes the named entries of runtime/work, unless somebody began to use them meanwhile. */
export const pruneWork: Call = async ({ probe, act, say, signal }, args) => {
  const work = `${inHome.work(probe.home)}/`;
  const paths = names(args["paths"]);
  const limit = Number(args["older_than_days"]) * 24 * 60 * 60 * 1000;
  if (!mayPrune(lookAtLocks(probe))) {
    say.line("Another script began to work: runtime/work is left alone");
    return;
  }
  const users = usersOf(probe, paths);
  for (const path of paths) {
    signal.throwIfAborted();
    if (!path.startsWith(work) || path.includes("/../")) {
      throw new ShelterError("not-work", `removing ${path}`, `it is not in ${work}`);
    }
    const entry = probe.stat(path);
    if (entry === undefined || users.has(path) || probe.now() - entry.mtime <= limit) continue;
    act.remove(path);
    await Promise.resolve(); // lets a signal in between two large folders
  }
};

function names(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : [];
}
