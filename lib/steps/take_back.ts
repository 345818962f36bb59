/** Takes steps back, last first, from a run's snapshot. Can be repeated: a crash amid an undo is finished by the next one. */
import { ShelterError } from "../errors.ts";
import { type KeptStep, type Manifest, type Saved, restore, stateOf } from "../keep/snapshot.ts";
import type { AnyUnit, CallContext, Undo } from "../unit.ts";
import { keepForNextFetch } from "../machine/sources.ts";
import { mayRestore, moveAside, type Sparing } from "./spare.ts";
import { type Place, removedFolder } from "./carry_out.ts";
import { restoreService, serviceMemo, stopIfItWasNot } from "./services.ts";
import { packageMemo, removeGained } from "./packages.ts";

/**
 * Takes back every step of `manifest` up to and including `upTo` (all when left out), last first.
 * With `sparing`, what somebody changed since is kept.
 * @returns what could not be brought back, each with the reason; empty when the host is as it was.
 */
export async function takeBack(
  unit: AnyUnit,
  context: CallContext,
  manifest: Manifest,
  upTo?: { readonly round: number; readonly step: number },
  sparing?: Sparing,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const [round, { id, steps, saved }] of [...manifest.rounds.entries()].reverse()) {
    for (const [index, step] of [...steps.entries()].reverse()) {
      if (upTo && (round > upTo.round || (round === upTo.round && index > upTo.step))) continue;
      const place = { run: manifest.run, round: id, step: index };
      try {
        await takeBackOne(unit, context, step, saved[index] ?? [], place, sparing);
      } catch (error) {
        left.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  return left;
}

/** Puts back what a run holds only while it lasts: temporary settings, and the `always` of drills and measurements. */
export async function endTemporary(
  unit: AnyUnit,
  context: CallContext,
  manifest: Manifest,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const { steps, saved } of [...manifest.rounds].reverse()) {
    for (const [index, step] of [...steps.entries()].reverse()) {
      try {
        if (step.do === "set" && step.temporary) {
          for (const one of saved[index] ?? [])
            await restore(context.probe, context.act, manifest.run, one);
        } else if ((step.do === "exec" || step.do === "call") && "always" in step.undo) {
          await byCommandOrCall(unit, context, step, step.undo.always);
        }
      } catch (error) {
        left.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  return left;
}

/** Whether a step leaves anything that an undo would have to bring back. */
export function leavesNothing(step: KeptStep): boolean {
  if (step.do === "set") return step.temporary === true;
  if (step.do !== "exec" && step.do !== "call") return false;
  return "always" in step.undo || "never" in step.undo;
}

async function takeBackOne(
  unit: AnyUnit,
  context: CallContext,
  step: KeptStep,
  saved: readonly Saved[],
  place: Place,
  sparing?: Sparing,
): Promise<void> {
  const { probe, act } = context;
  if (step.do === "move" && probe.stat(step.to) && !probe.stat(step.from)) {
    act.rename(step.to, step.from);
  }
  if (step.do === "remove") {
    const aside = removedFolder(probe.home, place);
    if (sparing && probe.stat(aside) && probe.stat(step.path)) {
      moveAside(context, step.path, sparing.kept);
    }
    if (probe.stat(aside) && !probe.stat(step.path)) act.rename(aside, step.path);
  }
  if (
    step.do === "fetch" &&
    probe.stat(step.to)?.size === step.bytes &&
    !(await isSpared(context, step, sparing))
  ) {
    keepForNextFetch(context, step.to, step.sha256);
  }
  if (step.do === "package") {
    await removeGained(probe, act, packageMemo(probe.home, place.run, place.round, place.step));
  }
  const memo = serviceMemo(probe.home, place.run, place.round, place.step);
  if (step.do === "service") await stopIfItWasNot(probe, act, step.name, memo);
  if (step.do === "exec" || step.do === "call") await takeBackDeed(unit, context, step, step.undo);
  for (const one of [...saved].reverse()) {
    if (sparing && !(await mayRestore(context, one, sparing))) continue;
    await restore(probe, act, place.run, one);
  }
  if (step.do === "service") await restoreService(probe, act, step.name, memo);
}

/** Whether what was fetched is other bytes by now, which are not ours to reuse. */
async function isSpared(
  { probe }: CallContext,
  { to }: Extract<KeptStep, { do: "fetch" }>,
  sparing: Sparing | undefined,
): Promise<boolean> {
  return sparing?.written.get(to)?.states.has(await stateOf(probe, to)) === false;
}

async function takeBackDeed(
  unit: AnyUnit,
  context: CallContext,
  step: Extract<KeptStep, { do: "exec" | "call" }>,
  undo: Undo,
): Promise<void> {
  if ("by" in undo) await byCommandOrCall(unit, context, step, undo.by);
  else if ("always" in undo) await byCommandOrCall(unit, context, step, undo.always);
}

async function byCommandOrCall(
  unit: AnyUnit,
  context: CallContext,
  step: Extract<KeptStep, { do: "exec" | "call" }>,
  how: readonly string[] | string,
): Promise<void> {
  if (typeof how === "string") {
    const call = unit.calls?.[how];
    if (!call) throw new Error(`${unit.id} has no call named ${how}`);
    await call(context, step.do === "call" ? step.args : {});
    return;
  }
  const ran = await context.act.run(how);
  if (ran.code !== 0) {
    throw new ShelterError(
      "undo-failed",
      `running ${how.join(" ")}`,
      `it ended with ${ran.code}: ${ran.stderr.trim()}`,
    );
  }
}
