#!/usr/bin/env bun
/** Installs and keeps shadow's services: engine, gateway, and the watcher that heals them. `run` is the watcher. */
import { main } from "../lib/cli.ts";
import type { ServicesFacts } from "../lib/services/facts.ts";
import { servicesUnit } from "../lib/services/unit.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<ServicesFacts> = servicesUnit("shadow", {
  id: "06_shadow_control",
  flag: "shadow_watched",
  summary: "Watch shadow and heal it",
});

if (import.meta.main) await main(unit);
