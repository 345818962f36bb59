/** Adding up what the tiers gave, honestly: what did not run is never counted as passed. */
import type { Case } from "./junit.ts";

/** What one run of `bun test` gave. */
export interface TierRun {
  /** Test files it was given, as the report names them. */
  readonly files: readonly string[];
  /** Undefined when it wrote no report. */
  readonly cases: readonly Case[] | undefined;
  /** Exit code; undefined when it was ended by a signal or by the time limit. */
  readonly code: number | undefined;
}

/** Sums, and a line for everything that is not simply a passed or a failed test. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly notes: readonly string[];
}

/**
 * The tally of one tier. Failures that have no test of their own count as one each: no report, a bad exit without a failed test, a file
 * of which no test ran, a test left out without a reason. With `required`, a test left out counts as failed too.
 */
export function tally(run: TierRun, required: boolean): Tally {
  const notes: string[] = [];
  const fail = (note: string) => notes.push(`failed: ${note}`);
  const count = { passed: 0, failed: 0, skipped: 0 };
  if (run.cases === undefined) {
    fail(`no report was written (exit ${run.code ?? "by a signal or the time limit"})`);
    return { ...count, failed: 1, notes };
  }
  for (const one of run.cases) {
    if (one.state !== "skipped") {
      count[one.state] += 1;
      if (one.state === "failed") fail(`${one.file}: ${one.name}`);
    } else if (one.reason === undefined) {
      count.failed += 1;
      fail(`${one.file}: "${one.name}" is left out and does not say why`);
    } else if (required) {
      count.failed += 1;
      fail(`${one.file}: "${one.name}", but nothing may be left out here`);
    } else {
      count.skipped += 1;
      notes.push(`left out: ${one.file}: ${one.name}`);
    }
  }
  const seen = new Set(run.cases.map((one) => one.file));
  for (const file of run.files) {
    if (seen.has(file)) continue;
    count.failed += 1;
    fail(`${file}: none of its tests ran`);
  }
  if (run.code !== 0 && count.failed === 0) {
    count.failed += 1;
    fail(`it ended with ${run.code ?? "a signal"} though no test failed`);
  }
  return { ...count, notes };
}

/** The sum of several. */
export function sum(tallies: readonly Tally[]): Tally {
  const add = (pick: (one: Tally) => number) => tallies.reduce((all, one) => all + pick(one), 0);
  return {
    passed: add((one) => one.passed),
    failed: add((one) => one.failed),
    skipped: add((one) => one.skipped),
    notes: tallies.flatMap((one) => one.notes),
  };
}
