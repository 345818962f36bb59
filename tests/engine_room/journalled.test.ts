/** Acts that are no unit's leave their record, however they end. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { journalled } from "../../lib/engine/journalled.ts";
import { ShelterError } from "../../lib/errors.ts";
import { appendEntry, readJournal, standingRuns } from "../../lib/keep/journal.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { migrate } from "../../lib/orchestra/update.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { runOn, SILENT } from "../support/run.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";

const DEED = { script: "08_shelter_update", flag: "updated", what: "do something" } as const;
let world: FakeWorld;
beforeEach(() => {
  world = fakeMachine();
});
afterEach(() => world.dispose());

const context = () => {
  const probe = createProbe(world.machine, FAKE_HOME, "testhost");
  const act = createAct(world.machine, probe);
  return { probe, act, say: SILENT, signal: new AbortController().signal };
};
const journal = () =>
  readJournal(context().probe).map((one) => ({
    kind: one.kind,
    ...("outcome" in one ? { outcome: one.outcome } : {}),
  }));

test("the begin is on disk before the work, the end after it; no undo takes it for its own", async () => {
  await journalled(context(), DEED, () => {
    expect(journal()).toEqual([{ kind: "begin" }]);
    return Promise.resolve({ outcome: "changed", facts: null });
  });
  expect(journal()).toEqual([{ kind: "begin" }, { kind: "end", outcome: "changed" }]);
  expect(standingRuns(readJournal(context().probe))).toEqual([]);
});

test("a failure is recorded and thrown on; one that was killed is ended by the next", async () => {
  const broken = () => Promise.reject(new ShelterError("bad", "building", "it broke"));
  await expect(journalled(context(), DEED, broken)).rejects.toThrow("it broke");
  expect(journal().at(-1)).toEqual({ kind: "end", outcome: "blocked" });
  const { probe, act } = context();
  await appendEntry(probe, act, { kind: "begin", run: "killed", script: DEED.script, steps: [] });
  await journalled(context(), DEED, () => Promise.resolve({ outcome: "converged", facts: null }));
  const ends = readJournal(probe).flatMap((one) => (one.kind === "end" ? [one] : []));
  expect(ends.find((one) => one.run === "killed")?.outcome).toBe("interrupted");
});

test("two at once: one acts, the other is told who", async () => {
  await journalled(context(), DEED, async () => {
    const second = journalled(context(), DEED, () =>
      Promise.resolve({ outcome: "changed", facts: null }),
    );
    await expect(second).rejects.toMatchObject({ id: "locked" });
    return { outcome: "changed", facts: null };
  });
  expect(journal().length).toBe(2);
});

test("migrate records what it made anew, and nothing where there is nothing", async () => {
  await runOn(world, scaffold);
  const desk = {
    machine: world.machine,
    place: { home: FAKE_HOME, host: "testhost" },
    probe: context().probe,
    want: { json: true },
    units: {},
  };
  const before = journal().length;
  expect((await migrate(desk)).exit).toBe(0);
  expect(journal().length).toBe(before);
  world.write(`${FAKE_HOME}/status/testhost/dirs_scaffolded.json`, '{"schema":0}');
  expect((await migrate(desk)).json).toMatchObject({ outcome: "changed" });
  expect(readJournal(context().probe).slice(before)).toMatchObject([
    { kind: "begin", script: "08_shelter_migrate" },
    { kind: "end", script: "08_shelter_migrate", outcome: "changed" },
  ]);
});
