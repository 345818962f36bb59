#!/usr/bin/env bun
/** Chooses, fetches and proves the models that fit this host. */
import { main } from "../lib/cli.ts";
import { diagnoseModels } from "../lib/llm/install_findings.ts";
import { observeModels, type ModelsFacts } from "../lib/llm/install_facts.ts";
import { installed, planModels } from "../lib/llm/install.ts";
import { pictureOfModels } from "../lib/llm/install_picture.ts";
import { unaskedOfModels } from "../lib/llm/install_unasked.ts";
import { bringModelBack, proveModel, setModelAside } from "../lib/llm/prove.ts";
import type { Unit } from "../lib/unit.ts";

export const unit: Unit<ModelsFacts> = {
  id: "03_install_models",
  flag: "models_installed",
  summary: "Choose, fetch and verify models that fit this host",
  needs: {},
  flags: {
    models: {
      type: "positional",
      description: "Names in the catalogue, with commas; auto takes the most capable that fits",
      required: false,
    },
    model: { type: "string", description: "The same as a flag", valueHint: "A,B" },
    list: { type: "boolean", description: "Show the catalogue and what of it fits this host" },
    recheck: {
      type: "boolean",
      description: "Hash every installed file again; set damaged ones aside and fetch them anew",
    },
    remove: { type: "string", description: "Take models away", valueHint: "A,B" },
    describe: {
      type: "string",
      description: "Show the catalogue entry of a GGUF file of your own",
      valueHint: "FILE",
    },
  },
  observe: observeModels,
  diagnose: diagnoseModels,
  plan: planModels,
  calls: {
    prove_model: proveModel,
    set_model_aside: setModelAside,
    bring_model_back: bringModelBack,
  },
  unasked: unaskedOfModels,
  fingerprint: (facts) => ({
    models: installed(facts).map(({ name, sha256 }) => ({ name, sha256 })),
    configured: facts.configured,
  }),
  digest: (facts) => ({
    models: installed(facts).map(({ name, sha256, bytes, verifiedAt, head }) => ({
      name,
      sha256,
      bytes,
      verified_at: verifiedAt,
      quantisation: head.quantisation ?? null,
    })),
    free_memory: facts.room.ram,
    free_vram: facts.room.gpu?.free ?? null,
    catalogue: facts.catalogue.entries.map((entry) => entry.name),
  }),
  picture: pictureOfModels,
};

if (import.meta.main) await main(unit);
