#!/usr/bin/env bun
/** Checks and repairs the home: folders, owners, modes, links, locks, space, left-overs, settings and status files. */
import { main } from "../lib/cli.ts";
import { clearLocks, pruneWork } from "../lib/home/structure_calls.ts";
import { mendStatuses } from "../lib/home/statuses.ts";
import { observeStructure } from "../lib/home/structure.ts";
import { diagnoseStructure } from "../lib/home/structure_findings.ts";
import { planStructure } from "../lib/home/structure_plan.ts";
import { unaskedOfStructure } from "../lib/home/structure_unasked.ts";
import type { StructureFacts } from "../lib/home/structure_facts.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<StructureFacts> = {
  id: "00_check_structure",
  flag: "structure_ok",
  summary: "Check and repair the home: folders, owners, modes, links, locks, space",
  needs: {},
  staleAfter: 24 * 60 * 60 * 1000,
  observe: observeStructure,
  diagnose: diagnoseStructure,
  plan: planStructure,
  calls: { clear_locks: clearLocks, mend_statuses: mendStatuses, prune_work: pruneWork },
  unasked: unaskedOfStructure,
  digest: ({ counted, space }) => ({
    ...counted,
    free: space?.free ?? null,
    inodes_free: space?.inodesFree ?? null,
  }),
  // what it found is its findings' to say; only another owner makes an earlier finding stale
  fingerprint: ({ owner }) => ({ owner: { ...owner } }),
};

if (import.meta.main) await main(unit);
