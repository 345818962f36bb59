/** `--undo`: takes back the last applied run of a script, if everything is still as that run left it. */
import { join } from "node:path";
import { appendEntry, readJournal, standingRuns } from "../keep/journal.ts";
import { inHome } from "../keep/home.ts";
import {
  type Manifest,
  readLeft,
  readManifest,
  stateBefore,
  stateOf,
  writeLeft,
  isOurRecord,
  isWhole,
} from "../keep/snapshot.ts";
import { fixOtherHome, otherHome, whyOtherHome } from "../keep/whose.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { takeBack } from "../steps/take_back.ts";
import { onlyForRoot } from "./may_undo.ts";
import type { AnyUnit, CallContext, Failure, Outcome, ShownStep } from "../unit.ts";

/** What came of an undo. */
export interface Undone {
  readonly outcome: Outcome;
  readonly shown: readonly ShownStep[];
  readonly undoes?: string;
  readonly error?: Failure;
  readonly left?: readonly string[];
}

/** Takes back the last run of `unit` that stands; the caller holds its lock. "converged" when there is none. */
export async function undoLastRun(
  unit: AnyUnit,
  context: CallContext,
  run: string,
): Promise<Undone> {
  const { probe, act, say } = context;
  // runs of one script may be about different things: pairings with different hosts
  const last = standingRuns(readJournal(probe), unit.id).find(({ flag }) => flag === unit.flag);
  if (!last) {
    say.line(`There is no run of ${unit.id} to take back`);
    return { outcome: "converged", shown: [] };
  }
  const manifest = readManifest(probe, last.run);
  if (!manifest) {
    return blocked("snapshot-gone", `taking back ${last.run}`, "its snapshot is no longer kept");
  }
  const home = otherHome(probe, manifest);
  if (home !== undefined) {
    const fix = fixOtherHome(probe, home, unit.id);
    return blocked("other-home", `taking back ${last.run}`, whyOtherHome(probe, home), fix);
  }
  const changed = await changedSince(probe, manifest);
  if (changed.length > 0) {
    const why = `changed since that run: ${changed.join(", ")}`;
    return blocked("changed-since", `taking back ${last.run}`, why, [`./bin/${unit.id}`, "--plan"]);
  }
  const strangers = strangersIn(probe, manifest);
  if (strangers.length > 0) {
    const why = `folders that it made hold what came later: ${strangers.join(", ")}`;
    return blocked("folder-in-use", `taking back ${last.run}`, why, ["ls", "-la", ...strangers]);
  }
  const root = await onlyForRoot(probe, manifest);
  if (root !== undefined) {
    const why = `only root can bring back ${root}, and you are user ${probe.me.uid}`;
    return blocked("needs-root", `taking back ${last.run}`, why, [
      "sudo",
      `./bin/${unit.id}`,
      "--undo",
    ]);
  }
  const shown = manifest.rounds
    .flatMap((round) =>
      round.steps.map((step) => ({ do: step.do, text: `take back: ${nameOf(step)}`, done: true })),
    )
    .reverse();
  await appendEntry(probe, act, {
    kind: "begin",
    run,
    script: unit.id,
    steps: shown,
    undoes: last.run,
    ...(manifest.includes ? { includes: manifest.includes } : {}),
  });
  const calm: CallContext = { ...context, signal: new AbortController().signal };
  const left = await takeBack(unit, calm, manifest);
  if (left.length === 0) act.remove(inHome.snapshots(probe.home, last.run));
  return { outcome: left.length > 0 ? "broken" : "changed", shown, undoes: last.run, left };
}

/** Notes, at the end of a run, how it left each path, so that a later undo can tell whether somebody changed it since. */
export async function keepWhatIsLeft(probe: Probe, act: Act, manifest: Manifest): Promise<void> {
  const left: Record<string, string> = {};
  for (const path of namedPaths(manifest)) left[path] = await stateOf(probe, path);
  writeLeft(probe, act, manifest.run, left);
}

/** What is neither as the run left it nor as it found it: an undo that ended early has brought some back already. */
async function changedSince(probe: Probe, manifest: Manifest): Promise<readonly string[]> {
  const before = new Map<string, string | undefined>();
  for (const { saved } of [...manifest.rounds].reverse()) {
    for (const one of saved.flat().reverse()) before.set(one.path, stateBefore(one));
  }
  const changed: string[] = [];
  for (const [path, state] of Object.entries(readLeft(probe, manifest.run))) {
    const now = await stateOf(probe, path);
    if (now !== state && now !== before.get(path)) changed.push(path);
  }
  return changed;
}

/** What stands in folders that the run made and is none of its own: found before the undo begins, not when half of it is done. */
function strangersIn(probe: Probe, { rounds }: Manifest): readonly string[] {
  // what a command or call takes back by itself no snapshot names
  const unnamed = rounds.some(({ steps }) =>
    steps.some((step) => (step.do === "exec" || step.do === "call") && "by" in step.undo),
  );
  if (unnamed) return [];
  const made = new Set(
    rounds.flatMap(({ saved }) =>
      saved.flat().flatMap((one) => (one.was === "absent" ? [one.path] : [])),
    ),
  );
  return [...made]
    .filter((path) => !isOurRecord(probe.home, path) && probe.stat(path)?.kind === "dir")
    .flatMap((path) => probe.list(path).map((name) => join(path, name)))
    .filter((path) => !made.has(path));
}

/** Temporary settings are the machine's own again, and of a file whose mode was changed the content never was the run's. */
function namedPaths(manifest: Manifest): readonly string[] {
  return manifest.rounds.flatMap(({ steps, saved }) =>
    steps.flatMap((step, index) =>
      step.do === "set" && step.temporary
        ? []
        : (saved[index] ?? []).filter(isWhole).map((one) => one.path),
    ),
  );
}

function nameOf(step: Manifest["rounds"][number]["steps"][number]): string {
  if (step.do === "call") return step.name.replaceAll("_", " ");
  if (step.do === "exec") return step.argv.join(" ");
  if (step.do === "service") return `service ${step.name}`;
  if (step.do === "package") return `install ${step.install.join(" ")}`;
  if (step.do === "move") return `move ${step.from} to ${step.to}`;
  return `${step.do} ${step.do === "fetch" ? step.to : step.path}`;
}

function blocked(id: string, what: string, why: string, fix?: readonly string[]): Undone {
  return { outcome: "blocked", shown: [], error: { id, what, why, ...(fix ? { fix } : {}) } };
}
