#!/usr/bin/env bun
/** Says what each feature of the shelter needs of this host, what of that is missing, and the line that installs it; installs it as root. */
import { main } from "../lib/cli.ts";
import { installLine, packagesOf, planPrereqs, standings } from "../lib/prereqs/assess.ts";
import type { PrereqFacts } from "../lib/prereqs/facts.ts";
import { diagnosePrereqs } from "../lib/prereqs/findings.ts";
import { pictureOfPrereqs, unaskedOfPrereqs } from "../lib/prereqs/outlook.ts";
import { FEATURE_IDS } from "../lib/prereqs/features.ts";
import { observePrereqs } from "../lib/prereqs/observe.ts";
import { table } from "../lib/report/text.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<PrereqFacts> = {
  id: "01_validate_prereqs",
  flag: "prereqs_ok",
  summary: "Check, and install, what each feature needs",
  needs: {},
  staleAfter: 7 * 24 * 60 * 60 * 1000,
  flags: {
    feature: {
      type: "string",
      description: `Features to check, e.g. build,cuda, or all: ${FEATURE_IDS.join(", ")}. What up needs when left out`,
      valueHint: "LIST",
    },
  },
  observe: observePrereqs,
  diagnose: diagnosePrereqs,
  plan: planPrereqs,
  unasked: unaskedOfPrereqs,
  picture: (facts) => table(pictureOfPrereqs(facts)),
  digest: (facts) => ({
    os: facts.os.name,
    features: Object.fromEntries(
      standings(facts).map(({ feature, asked, missing, unfit }) => {
        const packages = packagesOf(facts, missing);
        return [
          feature.id,
          {
            asked,
            ready: missing.length + unfit.length === 0,
            missing: missing.map(({ id }) => id),
            unfit: unfit.map(({ id }) => id),
            install: packages.length === 0 ? [] : installLine(facts, packages),
          },
        ];
      }),
    ),
    versions: Object.fromEntries(
      Object.entries(facts.tools).flatMap(([id, { version }]) =>
        version === undefined ? [] : [[id, version]],
      ),
    ),
  }),
  fingerprint: ({ asked, tools, cuda }) => ({
    asked,
    tools: Object.entries(tools).map(
      ([id, { state, version }]) => `${id} ${state} ${version ?? ""}`,
    ),
    driver: cuda.driver ?? null,
    toolkit: cuda.toolkit ?? null,
  }),
};

if (import.meta.main) await main(unit);
