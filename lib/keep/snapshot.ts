/** What a run may change, kept from before it did: one folder per run, from which every named path comes back. */
import { dirname, join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Act } from "../machine/act.ts";
import { sha256 } from "../machine/hash.ts";
import type { Entry, Probe } from "../machine/probe.ts";
import type { Owner, Step } from "../unit.ts";
import { inHome } from "./home.ts";

/** One path as it was. `blob` is a file's content, by name within the snapshot. */
export type Saved = { readonly path: string } & (
  | { readonly was: "absent" }
  | ({
      readonly was: "file";
      readonly mode: number;
      readonly blob: string;
      readonly sha256: string;
    } & Owner)
  | ({ readonly was: "dir"; readonly mode: number } & Owner)
  /** A file of which a step changes only these: its content is not the run's, and may go on changing (a log, a model). */
  | ({ readonly was: "attributes"; readonly mode: number } & Owner)
  | { readonly was: "link"; readonly target: string }
  | { readonly was: "value"; readonly value: string }
  | { readonly was: "other" }
);

/** A step as the snapshot keeps it: without contents, which may be large or secret. */
export type KeptStep =
  | Exclude<Step, { do: "write" }>
  | (Omit<Extract<Step, { do: "write" }>, "content"> & {
      /** Of the content; left out for secrets, and by older releases. */
      readonly sha256?: string;
    });

/** One round of a run: its steps and what they name, as it was. `saved[i]` belongs to `steps[i]`. */
export interface SavedRound {
  /** Unique within all snapshots: what the round keeps beside the manifest is named by it. */
  readonly id: string;
  readonly steps: readonly KeptStep[];
  readonly saved: readonly (readonly Saved[])[];
}

/** manifest.json of a snapshot. */
export interface Manifest {
  readonly schema: 1;
  readonly run: string;
  readonly script: string;
  /** Where it was made: its paths lead there. Older releases left it out. */
  readonly home?: string;
  readonly rounds: readonly SavedRound[];
  /** Older runs whose rounds were folded into this snapshot when theirs was dropped: they are taken back together. */
  readonly includes?: readonly string[];
}

/** Paths that a step may change. */
export function pathsOf(step: Step | KeptStep): readonly string[] {
  switch (step.do) {
    case "dir":
    case "write":
    case "attr":
    case "remove":
    case "link":
    case "set":
      return [step.path];
    case "move":
      return [step.from, step.to];
    case "fetch":
      return [step.to];
    case "package":
      return [];
    case "service":
      return step.files.map((file) => file.path);
    case "exec":
    case "call":
      return "restore" in step.undo ? step.undo.restore : [];
  }
}

/** Keeps what the steps of one round name, before the first of them acts. Folders that a step would have to make on its way count as named. */
export async function saveRound(
  probe: Probe,
  act: Act,
  run: string,
  script: string,
  steps: readonly Step[],
): Promise<Manifest> {
  const folder = inHome.snapshots(probe.home, run);
  act.makeFolder(folder);
  const before = readManifest(probe, run)?.rounds ?? [];
  const earlier = before.flatMap((round) => round.saved.flat());
  const seen = new Set(earlier.filter(isWhole).map((one) => one.path));
  const id = roundId(run, before.length);
  const saved: Saved[][] = [];
  for (const [index, step] of steps.entries()) {
    const here: Saved[] = [];
    for (const path of pathsOf(step)) {
      for (const missing of missingParents(probe, path)) {
        if (!seen.has(missing)) here.push({ path: missing, was: "absent" });
        seen.add(missing);
      }
      if (seen.has(path)) continue; // an earlier step or round keeps how it was found
      const kept = await save(probe, act, step, path, `${id}-${index}-${here.length}`, folder);
      if (isWhole(kept)) seen.add(path);
      here.push(kept);
    }
    saved.push(here);
  }
  const manifest: Manifest = {
    schema: 1,
    run,
    script,
    home: probe.home,
    rounds: [...before, { id, steps: steps.map(withoutContent), saved }],
  };
  writeManifest(probe, act, manifest);
  return manifest;
}

/** Writes a manifest in its snapshot's folder. */
export function writeManifest(probe: Probe, act: Act, manifest: Manifest): void {
  const path = join(inHome.snapshots(probe.home, manifest.run), "manifest.json");
  act.write(path, `${JSON.stringify(manifest)}\n`);
}

/** The manifest of a run, or undefined where its snapshot is gone. A damaged one throws. */
export function readManifest(probe: Probe, run: string): Manifest | undefined {
  const path = join(inHome.snapshots(probe.home, run), "manifest.json");
  const text = probe.text(path);
  if (text === undefined) return undefined;
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.schema === 1 && Array.isArray(manifest.rounds)) return manifest;
  } catch {
    // said below
  }
  throw new ShelterError("snapshot-damaged", `reading ${path}`, "it is not a manifest of schema 1");
}

/** Notes that a step is about to act, so that a later recovery knows where a killed run was. */
export function noteStarted(probe: Probe, act: Act, run: string, round: number, step: number) {
  act.appendLine(join(inHome.snapshots(probe.home, run), "started"), `${round} ${step}`);
}

/** How far a run came: the last step that was started, or undefined when none was. */
export function lastStarted(
  probe: Probe,
  run: string,
): { readonly round: number; readonly step: number } | undefined {
  const text = probe.text(join(inHome.snapshots(probe.home, run), "started"));
  // what stands after the last line break was cut off amid writing, and its step had not begun
  const match = text
    ?.split("\n")
    .at(-2)
    ?.match(/^(\d+) (\d+)$/);
  return match ? { round: Number(match[1]), step: Number(match[2]) } : undefined;
}

/** Brings one path back to how it was. Does nothing where it already is so, and can be repeated after a crash. */
export async function restore(probe: Probe, act: Act, run: string, saved: Saved): Promise<void> {
  const now = probe.stat(saved.path);
  switch (saved.was) {
    case "absent":
      if (now === undefined) return;
      if (now.kind !== "dir") act.remove(saved.path);
      else if (!act.removeIfEmpty(saved.path) && !isOurRecord(probe.home, saved.path)) {
        throw new ShelterError(
          "folder-not-empty",
          `removing ${saved.path}`,
          "it is not empty any more",
        );
      }
      return;
    case "dir":
      if (now?.kind !== "dir") {
        if (now) act.remove(saved.path);
        act.makeFolder(saved.path, saved.mode);
      }
      restoreAttributes(probe, act, saved.path, saved);
      return;
    case "attributes":
      if (now?.kind === "file") restoreAttributes(probe, act, saved.path, saved);
      return;
    case "link":
      if (now?.target !== saved.target) {
        if (now?.kind === "dir") act.remove(saved.path);
        act.makeFolder(dirname(saved.path));
        act.link(saved.path, saved.target);
      }
      return;
    case "value":
      if (probe.text(saved.path) !== saved.value) act.set(saved.path, currentChoice(saved.value));
      return;
    case "file": {
      const blob = join(inHome.snapshots(probe.home, run), saved.blob);
      const same = now?.kind === "file" && (await probe.sha256(saved.path)) === saved.sha256;
      if (!same) {
        if (probe.stat(blob) === undefined) {
          throw new ShelterError("blob-missing", `restoring ${saved.path}`, "its copy is gone");
        }
        if ((await probe.sha256(blob)) !== saved.sha256) {
          const why = `its copy ${blob} is not what was kept`;
          throw new ShelterError("blob-damaged", `restoring ${saved.path}`, why);
        }
        if (now?.kind === "dir") act.remove(saved.path);
        act.makeFolder(dirname(saved.path));
        act.replaceWith(saved.path, blob);
      }
      restoreAttributes(probe, act, saved.path, saved);
      return;
    }
    case "other":
      return; // a socket or device: no step may name one, see `save`
  }
}

/** Names a round across runs: the random part of a run's name, and the round's number. */
export function roundId(run: string, round: number): string {
  return `${run.split("-")[1] ?? run}-${round}`;
}

/** Where a run stands that was cut off before its first step. */
export const NOTHING_STARTED = { round: -1, step: -1 };

/** Folders that the engine itself keeps its records in: they hold the account of the undo too, so they stay. */
export function isOurRecord(home: string, path: string): boolean {
  const ours = ["logs", "status", "runtime", "history_main.log"].map((name) => join(home, name));
  return path === home || ours.some((one) => path === one || path.startsWith(`${one}/`));
}

/** False where a file's content was not kept: a later step that changes it must still keep it. */
export function isWhole(saved: Saved): boolean {
  return saved.was !== "attributes";
}

async function save(
  probe: Probe,
  act: Act,
  step: Step,
  path: string,
  blob: string,
  folder: string,
): Promise<Saved> {
  const now = probe.stat(path);
  if (now === undefined) return { path, was: "absent" };
  const { mode, uid, gid } = now;
  if (step.do === "set") return { path, was: "value", value: probe.text(path) ?? "" };
  if (now.kind === "link") return { path, was: "link", target: now.target ?? "" };
  if (now.kind === "dir") {
    return { path, was: "dir", mode, uid, gid };
  }
  if (now.kind === "other") {
    throw new ShelterError("not-a-file", `changing ${path}`, "it is a socket, a pipe or a device");
  }
  if (step.do === "attr") return { path, was: "attributes", mode, uid, gid };
  const was = await probe.sha256(path);
  if (MOVES.has(step.do)) act.hardLinkOrCopy(path, join(folder, blob));
  else act.copy(path, join(folder, blob));
  return { path, was: "file", mode, uid, gid, blob, sha256: was };
}
/** These replace a file by another one and never write into it, so a second name is copy enough. */
const MOVES: ReadonlySet<Step["do"]> = new Set([
  "move",
  "remove",
  "fetch",
  "link",
  "write",
  "service",
]);

function restoreAttributes(
  probe: Probe,
  act: Act,
  path: string,
  want: { readonly mode: number } & Owner,
): void {
  const now = probe.stat(path);
  if (now && (now.uid !== want.uid || now.gid !== want.gid)) act.chown(path, want);
  if (probe.stat(path)?.mode !== want.mode) act.chmod(path, want.mode);
}

function missingParents(probe: Probe, path: string): readonly string[] {
  const missing: string[] = [];
  for (let up = dirname(path); up !== dirname(up); up = dirname(up)) {
    if (probe.stat(up) !== undefined) break;
    missing.unshift(up);
  }
  return missing;
}

/** A step as its snapshot keeps it. */
export function withoutContent(step: Step): KeptStep {
  if (step.do !== "write") return step;
  const { content, ...kept } = step;
  return typeof content === "string" ? { ...kept, sha256: sha256(content) } : kept;
}

/** Some sysfs files list all choices and mark the current one in brackets: only that one can be written back. */
function currentChoice(value: string): string {
  return value.match(/\[([^\]]+)\]/)?.[1] ?? value;
}

/** A path's state in a few words, for telling whether it is still what a run left there. */
export async function stateOf(probe: Probe, path: string): Promise<string> {
  const now: Entry | undefined = probe.stat(path);
  if (now === undefined) return "absent";
  if (now.kind === "dir") return "dir";
  if (now.kind === "link") return `link ${now.target ?? ""}`;
  if (now.kind === "other") return "other";
  return `file ${await probe.sha256(path)}`;
}

/** The state, in the words of `stateOf`, that a path had when it was kept; undefined where its content was not. */
export function stateBefore(saved: Saved): string | undefined {
  if (saved.was === "file") return `file ${saved.sha256}`;
  if (saved.was === "link") return `link ${saved.target}`;
  return saved.was === "absent" || saved.was === "dir" ? saved.was : undefined;
}

/** Whether a run whose snapshot is there began to act; its line in the journal is older than that. */
export function hasActed(probe: Probe, run: string): boolean {
  const folder = inHome.snapshots(probe.home, run);
  return ["started", "left.json"].some((name) => probe.stat(join(folder, name)) !== undefined);
}

/** Whether a run came to its end, of which it notes how it left each path. */
export function hasNotedItsEnd(probe: Probe, run: string): boolean {
  return probe.stat(join(inHome.snapshots(probe.home, run), "left.json")) !== undefined;
}

/** How a run left each path that it named, for telling whether somebody changed it since. */
export function readLeft(probe: Probe, run: string): Readonly<Record<string, string>> {
  const text = probe.text(join(inHome.snapshots(probe.home, run), "left.json"));
  return text === undefined ? {} : (JSON.parse(text) as Record<string, string>);
}

/** Keeps how a run left its paths. */
export function writeLeft(
  probe: Probe,
  act: Act,
  run: string,
  left: Readonly<Record<string, string>>,
): void {
  act.write(join(inHome.snapshots(probe.home, run), "left.json"), `${JSON.stringify(left)}\n`);
}
