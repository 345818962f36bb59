/** In which states a run left the paths that it named: for telling what is the run's own from what somebody changed since. */
import { join } from "node:path";
import { sha256 } from "../machine/hash.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { inHome } from "./home.ts";
import {
  type KeptStep,
  type Manifest,
  pathsOf,
  readLeft,
  type Saved,
  stateBefore,
  stateOf,
} from "./snapshot.ts";

/** Of one path: all states, in the words of `stateOf`, that the run's steps gave it. */
export interface Written {
  readonly states: ReadonlySet<string>;
  /** False where a step may have left a state that nothing tells of: a command or call that was cut off. */
  readonly known: boolean;
}

/** Where in a run a step stands: by the round's id, which outlives a folding of snapshots. */
export interface StepPlace {
  readonly round: string;
  readonly step: number;
}

/** One line of the snapshot's file "wrote". */
interface Note extends StepPlace {
  readonly left: Readonly<Record<string, string>>;
}

/** Notes what a step left, where the step itself does not say: commands, calls and secrets. */
export async function noteWrote(
  probe: Probe,
  act: Act,
  run: string,
  step: KeptStep,
  place: StepPlace,
): Promise<void> {
  const paths = pathsOf(step);
  if (!paths.some((path) => statesAfter(step, [], path) === undefined)) return;
  const left: Record<string, string> = {};
  for (const path of paths) left[path] = await stateOf(probe, path);
  const note: Note = { ...place, left };
  act.appendLine(notesOf(probe, run), JSON.stringify(note));
}

/** Every path that the steps of a run named, up to and including `upTo`, with what they wrote there. */
export function writtenBy(
  probe: Probe,
  manifest: Manifest,
  upTo?: { readonly round: number; readonly step: number },
): ReadonlyMap<string, Written> {
  const atTheEnd = readLeft(probe, manifest.run);
  const noted = readNotes(probe, manifest.run);
  const written = new Map<string, { states: Set<string>; known: boolean }>();
  for (const [round, { id, steps, saved }] of manifest.rounds.entries()) {
    for (const [index, step] of steps.entries()) {
      if (upTo && (round > upTo.round || (round === upTo.round && index > upTo.step))) continue;
      const note = noted.find((one) => one.round === id && one.step === index);
      for (const path of pathsOf(step)) {
        const last = atTheEnd[path];
        const found = (saved[index] ?? []).find((one) => one.path === path);
        const own = written.get(path) ?? {
          states: new Set(last === undefined ? [] : [last]),
          known: true,
        };
        written.set(path, own);
        // what this step found an earlier one of these runs may have left: a folded snapshot no longer notes that
        const before = found && stateBefore(found);
        if (before !== undefined) own.states.add(before);
        const after = statesAfter(step, saved[index] ?? [], path) ?? asList(note?.left[path]);
        for (const state of after ?? []) own.states.add(state);
        if (after === undefined && last === undefined) own.known = false;
      }
    }
  }
  return written;
}

/** What a step leaves at a path by its own account; undefined where only a look can tell. */
function statesAfter(
  step: KeptStep,
  saved: readonly Saved[],
  path: string,
): readonly string[] | undefined {
  switch (step.do) {
    case "dir":
      return ["dir"];
    case "write":
      return step.sha256 === undefined ? undefined : [`file ${step.sha256}`];
    case "remove":
      return ["absent"];
    case "link":
      return [`link ${step.target}`];
    case "fetch":
      return [`file ${step.sha256}`];
    case "service":
      return step.files
        .filter((file) => file.path === path)
        .map((file) => `file ${sha256(file.content)}`);
    case "move": {
      if (path === step.from) return ["absent"];
      const moved = saved.find((one) => one.path === step.from);
      return asList(moved && stateBefore(moved)) ?? [];
    }
    case "attr":
    case "set":
    case "package":
      return []; // no content of theirs
    case "exec":
    case "call":
      return undefined;
  }
}

function asList(state: string | undefined): readonly string[] | undefined {
  return state === undefined ? undefined : [state];
}

function notesOf(probe: Probe, run: string): string {
  return join(inHome.snapshots(probe.home, run), "wrote");
}

function readNotes(probe: Probe, run: string): readonly Note[] {
  return (probe.text(notesOf(probe, run)) ?? "").split("\n").flatMap((line) => {
    try {
      const note = JSON.parse(line) as Note;
      return typeof note.left === "object" ? [note] : [];
    } catch {
      return []; // cut off amid writing: as if it had not been noted
    }
  });
}
