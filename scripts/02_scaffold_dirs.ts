#!/usr/bin/env bun
/** Makes the home: its folders, each its owner's alone, and a shared.cfg that explains itself. */
import { main } from "../lib/cli.ts";
import {
  diagnoseScaffold,
  observeScaffold,
  planScaffold,
  unaskedOfScaffold,
  type ScaffoldFacts,
} from "../lib/home/scaffold.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<ScaffoldFacts> = {
  id: "02_scaffold_dirs",
  flag: "dirs_scaffolded",
  summary: "Make the home's folders and shared.cfg",
  needs: {},
  observe: observeScaffold,
  diagnose: diagnoseScaffold,
  plan: planScaffold,
  unasked: unaskedOfScaffold,
  digest: ({ folders, config }) => ({ folders: folders.length, shared_cfg: config.reading.state }),
  fingerprint: ({ folders, config }) => ({
    folders: folders.map(({ path, standing }) => `${standing} ${path}`),
    config: config.reading.state,
  }),
};

if (import.meta.main) await main(unit);
