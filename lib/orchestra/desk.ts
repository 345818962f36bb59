/** What every subcommand of `shelter` is given, and what it answers. */
import { flagsOf, readArgs, SHARED_FLAGS } from "../cli/flags.ts";
import type { Place } from "../cli/place.ts";
import { UsageError } from "../errors.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe, type Probe } from "../machine/probe.ts";
import type { AnyUnit, Args, Json, ScriptId } from "../unit.ts";

/** From a script's name to its code; what is missing is not part of this build. */
export type Units = Readonly<Partial<Record<ScriptId, () => Promise<{ readonly unit: AnyUnit }>>>>;

/** Where a subcommand works. */
export interface Desk {
  readonly machine: Machine;
  readonly place: Place;
  readonly probe: Probe;
  readonly want: Args;
  readonly units: Units;
}

/** What a subcommand says when it is over: one document for `--json`, or lines for a person. */
export interface Spoken {
  readonly exit: number;
  readonly json: Json;
  readonly lines: readonly string[];
}

/** One subcommand. */
export type Command = (desk: Desk) => Promise<Spoken>;

/** What a subcommand gets to work with. */
export function deskOf(machine: Machine, place: Place, want: Args, units: Units): Desk {
  return { machine, place, want, units, probe: createProbe(machine, place.home, place.host) };
}

/** A script's unit. */
export async function loadUnit(units: Units, script: ScriptId): Promise<AnyUnit> {
  const load = units[script];
  if (load) return (await load()).unit;
  throw new UsageError("not-in-build", script, "it is not part of this build", [
    "./bin/shelter",
    "status",
  ]);
}

/** Finds another script's unit for the engine, so that a killed run of it can be finished. */
export function othersOf(units: Units): (script: ScriptId) => Promise<AnyUnit | undefined> {
  return async (script) => (await units[script]?.())?.unit;
}

/** A unit's whole command line when `shelter` runs it: its own defaults, what it shares with `shelter`, and what was decided for it. */
export async function wantFor(unit: AnyUnit, shared: Args, decided: Args = {}): Promise<Args> {
  const defaults = await readArgs(unit.id, flagsOf(unit), []);
  const kept = Object.entries(shared).filter(([name]) => name in SHARED_FLAGS);
  return { ...defaults, ...Object.fromEntries(kept), ...decided };
}

/** A report or any other value that is made of JSON alone, as JSON's type. */
export function asJson(value: unknown): Json {
  return value as Json;
}

/** A flag's text. */
export function textOf(want: Args, flag: string): string | undefined {
  const value = want[flag];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A flag's whole number above zero, or `otherwise`. Throws a UsageError for anything else. */
export function countOf(want: Args, flag: string, otherwise: number): number {
  const text = textOf(want, flag);
  if (text === undefined) return otherwise;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError("usage", `--${flag} ${text}`, "it takes a whole number above zero", [
    "./bin/shelter",
    "--help",
  ]);
}

/** Some commands take one word, "run", as their units say it. Throws a UsageError for another one. */
export function onlyRun(want: Args, command: string): void {
  const word = textOf(want, "run");
  if (word === undefined || word === "run") return;
  throw new UsageError("usage", `shelter ${command} ${word}`, "it takes no such word", [
    "./bin/shelter",
    command,
    "--help",
  ]);
}
