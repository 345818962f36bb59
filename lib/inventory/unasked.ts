/** What nobody asked about the hardware: each with the figure that gives it away, and a command. */
import type { Finding } from "../unit.ts";
import type { InventoryFacts } from "./observe.ts";
import { UNASKED_HARDWARE } from "./unasked_hardware.ts";
import { UNASKED_RUNNING } from "./unasked_running.ts";

/** All of them, in no order: the report ranks. */
export function unaskedInventory(facts: InventoryFacts): readonly Finding[] {
  return [...UNASKED_HARDWARE, ...UNASKED_RUNNING].flatMap((look) => look(facts));
}
