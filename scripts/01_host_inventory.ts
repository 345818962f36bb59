#!/usr/bin/env bun
/** 01_host_inventory: hardware, firmware, kernel, OS and security facts of this host as one document, and what changed since the last one. */
import { main } from "../lib/cli.ts";
import { diagnoseInventory } from "../lib/inventory/findings.ts";
import { observeInventory, type InventoryFacts } from "../lib/inventory/observe.ts";
import { pictureOf } from "../lib/inventory/picture.ts";
import { digestOf, planInventory } from "../lib/inventory/plan.ts";
import { unaskedInventory } from "../lib/inventory/unasked.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<InventoryFacts> = {
  id: "01_host_inventory",
  flag: "inventory_taken",
  summary: "Take the hardware, firmware, kernel, OS and security facts of this host",
  needs: {},
  // hardware changes seldom, and drivers and kernels within weeks
  staleAfter: 7 * 24 * 3600 * 1000,
  observe: observeInventory,
  diagnose: diagnoseInventory,
  plan: planInventory,
  unasked: unaskedInventory,
  fingerprint: ({ stable }) => stable,
  digest: digestOf,
  picture: pictureOf,
};

if (import.meta.main) await main(unit);
