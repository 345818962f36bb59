/** What the inventory sees of a fake machine. */
import { carryOver } from "../../lib/inventory/carry.ts";
import { observeInventory, type InventoryFacts } from "../../lib/inventory/observe.ts";
import { documentOf } from "../../lib/inventory/plan.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine, type FakeMachineOptions } from "../support/fake_machine.ts";

/** The facts of one fake machine. */
export async function factsOf(
  options: FakeMachineOptions,
  host = "testhost",
): Promise<InventoryFacts> {
  const world = fakeMachine(options);
  try {
    return await observeInventory(createProbe(world.machine, FAKE_HOME, host));
  } finally {
    world.dispose();
  }
}

/** The same facts, with the document that `earlier` would have stored. */
export function after(earlier: InventoryFacts, now: InventoryFacts): InventoryFacts {
  return {
    ...now,
    stable: carryOver(earlier.stable, now.stable),
    stored: { state: "ok", document: documentOf(earlier) },
  };
}
