/** 01_validate_prereqs on a fake Debian. */
import { FEATURES } from "../../lib/prereqs/features.ts";
import type { Finding, RunReport } from "../../lib/unit.ts";
import { unit } from "../../scripts/01_validate_prereqs.ts";
import { debian, type DebianOptions } from "../support/debian.ts";
import { fakeMachine } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";

/** Every tool of every feature. */
export const ALL = FEATURES.flatMap(({ tools }) => tools.map(({ id }) => id));
export const without = (...ids: readonly string[]) => ALL.filter((id) => !ids.includes(id));

/** What it would do for `feature`, or for the features that everybody needs. */
export async function plan(options: DebianOptions, feature?: string): Promise<RunReport> {
  const world = fakeMachine(debian(options));
  try {
    return await runOn(world, unit, {
      want: feature === undefined ? {} : { feature },
      mode: "plan",
    });
  } finally {
    world.dispose();
  }
}

/** A finding by its id, asked or unasked. */
export const find = (report: RunReport, id: string): Finding | undefined =>
  [...report.findings, ...report.unasked].find((one) => one.id === id);

export const root = { root: true } as const;
