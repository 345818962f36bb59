/** The laws, on homes that are missing, half made, full of other things, or have a damaged shared.cfg. */
import * as fc from "fast-check";
import { unit } from "../../scripts/02_scaffold_dirs.ts";
import { anyHome, madeOnTheWay } from "../support/homes.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";

const worlds: fc.Arbitrary<LawWorld> = fc
  .oneof({ weight: 1, arbitrary: fc.constant({}) }, { weight: 5, arbitrary: anyHome })
  .map((files) => {
    const time = Date.now(); // it stands, so that names with a time in them are the same in every copy of a world
    return { machine: { files, now: () => time } };
  });

lawsOf(unit, worlds, { runs: 15, timeout: 300_000, mayDrop: madeOnTheWay });
