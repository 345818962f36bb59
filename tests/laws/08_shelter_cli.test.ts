/** The shelter as a whole, as a unit: the laws, and when it stands. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { STAGES } from "../../lib/orchestra/stages.ts";
import { ROSTER } from "../../lib/roster.ts";
import { unit } from "../../scripts/08_shelter_cli.ts";
import { FAKE_HOME, fakeMachine, type FakeMachineOptions } from "../support/fake_machine.ts";
import { lawsOf } from "../support/laws.ts";
import { runOn } from "../support/run.ts";

const FLAGS = STAGES.map(({ script }) => ROSTER.find((row) => row.id === script)).filter(
  (row) => row !== undefined,
);

/** A home in which each of `flags` has ended so. */
function home(outcomes: readonly (string | undefined)[], ago: number): FakeMachineOptions {
  const at = new Date(Date.now() - ago).toISOString();
  return {
    files: Object.fromEntries(
      FLAGS.flatMap(({ id, flag }, index) => {
        const outcome = outcomes[index];
        if (outcome === undefined) return [];
        const status = {
          schema: 1,
          flag,
          script: id,
          host: "testhost",
          outcome,
          at,
          took_ms: 1,
          fingerprint: "f",
          facts: null,
          journal: { index: 0 },
        };
        return [
          [
            `${FAKE_HOME}/status/testhost/${flag}.json`,
            { text: JSON.stringify(status), mode: 0o600 },
          ],
        ];
      }),
    ),
  };
}
const good: fc.Arbitrary<string> = fc.constantFrom("converged", "changed");
const all = fc.array(good, { minLength: FLAGS.length, maxLength: FLAGS.length });
const recent = fc.integer({ min: 0, max: 3_600_000 });

lawsOf(
  unit,
  fc.tuple(all, recent).map(([outcomes, ago]) => ({ machine: home(outcomes, ago) })),
);

test("it is blocked by each script that does not stand, and names it", async () => {
  const bad = fc.constantFrom(
    undefined,
    "rolled-back",
    "blocked",
    "below-baseline",
    "corrupt",
    "broken",
    "interrupted",
  );
  await fc.assert(
    fc.asyncProperty(all, bad, fc.nat(FLAGS.length - 1), async (outcomes, wrong, at) => {
      const world = fakeMachine(
        home(
          outcomes.map((one, place) => (place === at ? wrong : one)),
          0,
        ),
      );
      try {
        const report = await runOn(world, unit, { mode: "verify" });
        const script = FLAGS[at]?.id ?? "";
        expect(report.outcome).toBe("blocked");
        expect(report.findings.filter((one) => one.level === "fail").map((one) => one.id)).toEqual([
          `does-not-stand-${script}`,
        ]);
      } finally {
        world.dispose();
      }
    }),
    { numRuns: 40 },
  );
});
