/** The laws, on Debians that lack this or that, seen by root: only root may install. */
import * as fc from "fast-check";
import { FEATURES } from "../../lib/prereqs/features.ts";
import { unit } from "../../scripts/01_validate_prereqs.ts";
import { debian } from "../support/debian.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";

/** Features whose tools a fake package can make appear: the GPUs' need devices too. */
const TRIED = FEATURES.filter(({ id }) => id !== "cuda" && id !== "vulkan");
const TOOLS = [...new Set(TRIED.flatMap(({ tools }) => tools.map(({ id }) => id)))];

const worlds: fc.Arbitrary<LawWorld> = fc
  .record({
    there: fc.subarray(TOOLS),
    feature: fc.option(
      fc.subarray(
        TRIED.map(({ id }) => id),
        { minLength: 1 },
      ),
    ),
    lists: fc.boolean(),
    home: fc.boolean(),
  })
  .map(({ there, feature, lists, home }) => ({
    machine: debian({
      // Debian's own dependencies: neither pip nor venv comes without Python
      there: there.includes("pip") || there.includes("venv") ? [...there, "python3"] : there,
      lists,
      me: { root: true },
      files: home ? { "/home/op/.mountain_shelter/status": { folder: true } } : {},
    }),
    want: feature ? { feature: feature.join(",") } : {},
  }));

lawsOf(unit, worlds, { runs: 15, timeout: 300_000 });
