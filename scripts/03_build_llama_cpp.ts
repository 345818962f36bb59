#!/usr/bin/env bun
/** Builds llama.cpp for this very machine, proves it with a real model, and puts it live by one link. */
import { main } from "../lib/cli.ts";
import { PINS } from "../lib/llm/build/pins.ts";
import { buildUnit } from "../lib/llm/build/unit.ts";

export const unit = buildUnit(PINS);

if (import.meta.main) await main(unit);
