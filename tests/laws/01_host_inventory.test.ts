/** The laws of every unit, over machines of all kinds that have changed, not changed, or kept a damaged document. */
import * as fc from "fast-check";
import { unit } from "../../scripts/01_host_inventory.ts";
import { writeInventory } from "../../lib/inventory/document.ts";
import { documentOf } from "../../lib/inventory/plan.ts";
import { inHome } from "../../lib/keep/home.ts";
import { FAKE_HOME, type FakeFile, type FakeMachineOptions } from "../support/fake_machine.ts";
import { lawsOf } from "../support/laws.ts";
import { factsOf } from "../inventory/facts_of.ts";
import { phantom } from "../inventory/phantom.ts";
import { plainVm } from "../inventory/plain_vm.ts";
import { shadow } from "../inventory/shadow.ts";

const PATH = inHome.inventory(FAKE_HOME, "testhost");
const KINDS = [
  shadow(),
  shadow({ root: false }),
  phantom(),
  phantom({ root: true }),
  plainVm(),
  { system: {} },
] as const;
const stored = await Promise.all(
  KINDS.map(async (kind) => writeInventory(documentOf(await factsOf(kind)))),
);

/** A document that is not what the machine shows now: another machine's, an older one, a damaged one, or none. */
const earlier: fc.Arbitrary<string | undefined> = fc.oneof(
  fc.constant(undefined),
  fc
    .constantFrom(...stored)
    .map((text) => text.replace(/"version": "[^"]*"/, '"version": "an older one"')),
  fc
    .tuple(fc.constantFrom(...stored), fc.nat())
    .map(([text, at]) => text.slice(0, at % text.length)),
  fc.string({ unit: "binary", maxLength: 50 }),
);

const worlds = fc
  .tuple(fc.constantFrom<FakeMachineOptions>(...KINDS), earlier)
  .map(([machine, text]) => {
    const files: Record<string, FakeFile> = { ...machine.files };
    if (text !== undefined) files[PATH] = { text, mode: 0o600 };
    // a clock that stands still, so that the document, which says when it was taken, is the same in each try
    return { machine: { ...machine, files, now: () => Date.UTC(2026, 0, 1) } };
  });

lawsOf(unit, worlds);
