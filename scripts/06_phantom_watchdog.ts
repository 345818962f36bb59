#!/usr/bin/env bun
/** Installs and keeps phantom's services: engine, gateway, and the watcher that heals them. `run` is the watcher. */
import { main } from "../lib/cli.ts";
import type { ServicesFacts } from "../lib/services/facts.ts";
import { servicesUnit } from "../lib/services/unit.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<ServicesFacts> = servicesUnit("phantom", {
  id: "06_phantom_watchdog",
  flag: "phantom_watched",
  summary: "Watch phantom and heal it",
});

if (import.meta.main) await main(unit);
