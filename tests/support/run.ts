/** Running a unit on a fake machine. */
import { runUnit, type RunOptions } from "../../lib/engine.ts";
import type { AnyUnit, Args, RunReport, Say } from "../../lib/unit.ts";
import { FAKE_HOME, type FakeWorld } from "./fake_machine.ts";

/** A voice that says nothing. */
export const SILENT: Say = {
  line: () => undefined,
  detail: () => undefined,
  progress: () => undefined,
  stream: () => undefined,
};

/** Runs `unit` on `world` as host "testhost"; "apply" unless told otherwise. */
export function runOn(
  world: FakeWorld,
  unit: AnyUnit,
  options: Partial<Omit<RunOptions, "machine">> & { readonly want?: Args } = {},
): Promise<RunReport> {
  return runUnit(unit, {
    machine: world.machine,
    home: FAKE_HOME,
    host: "testhost",
    want: { yes: true },
    mode: "apply",
    say: SILENT,
    signal: new AbortController().signal,
    ...options,
  });
}
