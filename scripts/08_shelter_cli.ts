#!/usr/bin/env bun
/** The unified command, also called `shelter`: runs, shows and takes back everything. As a unit it proves that all of `up` stands. */
import { dispatch } from "../lib/orchestra/dispatch.ts";
import { diagnoseShelter, observeShelter, type ShelterFacts } from "../lib/orchestra/whole.ts";
import type { Unit } from "../lib/unit.ts";
import { UNITS } from "./table.ts";

export const unit: Unit<ShelterFacts> = {
  id: "08_shelter_cli",
  flag: "shelter_up",
  summary: "Run, show and take back everything: the unified command",
  needs: {},
  observe: observeShelter,
  diagnose: diagnoseShelter,
  plan: () => [],
  fingerprint: ({ rows }) => rows.map(({ script, standing }) => `${script} ${standing}`),
};

/** Answers one command line of `shelter`. */
export async function shelter(argv: readonly string[]): Promise<void> {
  await dispatch(argv, { ...UNITS, "08_shelter_cli": () => Promise.resolve({ unit }) });
}

if (import.meta.main) await shelter(process.argv.slice(2));
