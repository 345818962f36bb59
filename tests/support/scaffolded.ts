/** A fake home that 02_scaffold_dirs made, and looking at it with 00_check_structure. */
import { expect } from "bun:test";
import { join } from "node:path";
import type { Finding, RunReport } from "../../lib/unit.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";
import { unit as structure } from "../../scripts/00_check_structure.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeFile,
  type FakeMachineOptions,
  type FakeWorld,
} from "./fake_machine.ts";
import { runOn } from "./run.ts";

/** A path in the fake home. */
export const at = (name: string) => join(FAKE_HOME, name);

/** A home that 02_scaffold_dirs made, and then `files`, by their path in it or from "/". `keep` is the test file's own, see kept.ts. */
export async function scaffolded(
  keep: (world: FakeWorld) => FakeWorld,
  files: Readonly<Record<string, FakeFile>> = {},
  more: FakeMachineOptions = {},
): Promise<FakeWorld> {
  const world = keep(fakeMachine(more));
  expect((await runOn(world, scaffold)).outcome).toBe("changed");
  for (const [name, file] of Object.entries(files)) {
    world.write(name.startsWith("/") ? name : at(name), file);
  }
  return world;
}

/** What 00_check_structure would do. */
export const look = (world: FakeWorld) => runOn(world, structure, { mode: "plan" });

/** A finding of a report by its id, asked or unasked. */
export function find(report: RunReport, id: string): Finding | undefined {
  return [...report.findings, ...report.unasked].find((one) => one.id === id);
}
