/** Whether this user can take a run back: looked at before the undo begins, because half an undo is the state that nobody wants. */
import { dirname, join } from "node:path";
import { inHome } from "../keep/home.ts";
import {
  type KeptStep,
  type Manifest,
  type Saved,
  stateBefore,
  stateOf,
} from "../keep/snapshot.ts";
import type { Entry, Probe } from "../machine/probe.ts";
import { packageMemo } from "../steps/packages.ts";

/** What of a run only root can bring back, in words; undefined where this user may bring back all of it, as far as owners and modes tell. */
export async function onlyForRoot(probe: Probe, manifest: Manifest): Promise<string | undefined> {
  if (probe.me.root) return undefined;
  for (const { id, steps, saved } of manifest.rounds) {
    for (const [index, step] of steps.entries()) {
      if (step.do === "service") return `the service ${step.name}`;
      const memo = packageMemo(probe.home, manifest.run, id, index);
      if (step.do === "package" && probe.stat(memo))
        return `the packages ${step.install.join(" ")}`;
      for (const one of saved[index] ?? []) {
        if (!(await mayRestore(probe, manifest, step, one))) return one.path;
      }
    }
  }
  return undefined;
}

async function mayRestore(
  probe: Probe,
  { run }: Manifest,
  step: KeptStep,
  saved: Saved,
): Promise<boolean> {
  const now = probe.stat(saved.path);
  if (saved.was === "value") {
    if (step.do === "set" && step.temporary) return true; // it was put back when the run ended
    return now === undefined || now.uid === probe.me.uid || probe.text(saved.path) === saved.value;
  }
  const before = stateBefore(saved);
  const differs = before !== undefined && before !== (await stateOf(probe, saved.path));
  if (differs && !mayReplace(probe, saved.path, now)) return false;
  if (!("uid" in saved)) return true;
  // what comes back from the snapshot has its copy's owner
  const copy = saved.was === "file" ? join(inHome.snapshots(probe.home, run), saved.blob) : "";
  const then = differs && saved.was === "file" ? probe.stat(copy) : now;
  if (then === undefined) return true;
  const { uid, gid, mode } = then;
  return (
    uid === saved.uid && gid === saved.gid && (mode === saved.mode || saved.uid === probe.me.uid)
  );
}

/** Whether an entry may be made, replaced or removed: the folder decides. A group's write bit counts, since we do not know who is in it. */
function mayReplace(probe: Probe, path: string, now: Entry | undefined): boolean {
  let folder = dirname(path);
  const { me } = probe;
  while (folder !== "/" && probe.stat(folder) === undefined) folder = dirname(folder);
  const there = probe.stat(folder);
  if (there === undefined || there.uid === me.uid) return true;
  const sticky = (there.mode & 0o1000) !== 0 && now !== undefined && now.uid !== me.uid;
  return (there.mode & 0o022) !== 0 && !sticky;
}
