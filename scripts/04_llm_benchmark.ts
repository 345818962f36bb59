#!/usr/bin/env bun
/** Measures the live build on the installed models, holds the figures against this host's baseline, and tunes how models are served. */
import { main } from "../lib/cli.ts";
import { measureCall } from "../lib/llm/bench/calls.ts";
import {
  digestBench,
  fingerprintBench,
  observeBench,
  type BenchFacts,
} from "../lib/llm/bench/facts.ts";
import { diagnoseBench } from "../lib/llm/bench/findings.ts";
import { BUDGET, onlySeconds, planBench, PREHEAT, FRESH } from "../lib/llm/bench/plan.ts";
import { pictureOf } from "../lib/llm/bench/plot.ts";
import { unaskedBench } from "../lib/llm/bench/unasked.ts";
import { tuneCall } from "../lib/llm/tune/call.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<BenchFacts> = {
  id: "04_llm_benchmark",
  flag: "llm_benchmarked",
  summary: "Measure the live build and models, watch the baseline, tune",
  needs: {},
  staleAfter: FRESH,
  flags: {
    model: { type: "string", description: "measure this model alone", valueHint: "NAME" },
    again: { type: "boolean", description: "measure also what was measured of late" },
    tune: {
      type: "boolean",
      description: "look for a faster way to serve each model, and keep it",
    },
    budget: {
      type: "string",
      description: "seconds that tuning one model may take",
      valueHint: "SECONDS",
      default: String(BUDGET),
      wants: onlySeconds,
    },
    preheat: {
      type: "string",
      description: "seconds of work before anything counts",
      valueHint: "SECONDS",
      default: String(PREHEAT),
      wants: onlySeconds,
    },
    accept: { type: "boolean", description: "take a slower result as the new measure" },
  },
  observe: observeBench,
  diagnose: diagnoseBench,
  plan: planBench,
  calls: { measure: measureCall, tune: tuneCall },
  unasked: unaskedBench,
  fingerprint: fingerprintBench,
  digest: digestBench,
  picture: pictureOf,
};

if (import.meta.main) await main(unit);
