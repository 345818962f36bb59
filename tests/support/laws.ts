/** The laws of every unit, as properties over generated worlds on the fake machine. */
import {
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { inHome } from "../../lib/keep/home.ts";
import { readJournal } from "../../lib/keep/journal.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { showStep } from "../../lib/steps/show.ts";
import type { AnyUnit, Args, RunReport, Step } from "../../lib/unit.ts";
import { FAKE_HOME, fakeMachine, type FakeMachineOptions, type FakeWorld } from "./fake_machine.ts";
import { runOn, SILENT } from "./run.ts";

/** One generated world and what is wanted of the unit in it. */
export interface LawWorld {
  readonly machine: FakeMachineOptions;
  readonly want?: Args;
}

/** How the laws are tried. */
export interface LawOptions {
  /** Worlds per law; 20 when left out. */
  readonly runs?: number;
  /** Milliseconds per law; 60,000 when left out. */
  readonly timeout?: number;
  /** Steps, by their text, that may be dropped without a law turning red, each with the reason. */
  readonly mayDrop?: (step: Step) => string | undefined;
  /** Also of the unit's own making and kept across undo, e.g. content-addressed files of a `never` step. */
  readonly kept?: (path: string) => boolean;
}

/** Declares the laws for `unit` over `worlds`. Every world must let the unit act and end well. */
export function lawsOf(unit: AnyUnit, worlds: fc.Arbitrary<LawWorld>, options: LawOptions = {}) {
  const numRuns = options.runs ?? 20;
  const timeout = options.timeout ?? 60_000;
  const law = (name: string, holds: (world: FakeWorld, want: Args) => Promise<void>) =>
    test(
      name,
      () =>
        fc.assert(
          fc.asyncProperty(worlds, async (made) => {
            const world = fakeMachine(made.machine);
            try {
              await holds(world, { yes: true, ...made.want });
            } finally {
              world.dispose();
            }
          }),
          { numRuns, endOnFailure: true },
        ),
      timeout,
    );
  const before = (world: FakeWorld) =>
    world.picture("/", (path) => isRecord(path) || options.kept?.(path) === true).filter(isNoFrame);

  describe(`laws of ${unit.id}`, () => {
    law("planning and verifying change nothing", async (world, want) => {
      const all = world.picture("/");
      for (const mode of ["plan", "verify"] as const) {
        const report = await runOn(world, unit, { want, mode });
        expect(["planned", "converged"]).toContain(report.outcome);
      }
      expect(world.picture("/")).toEqual(all);
    });

    law("applying the plan empties it, and a second run changes nothing", async (world, want) => {
      const first = await runOn(world, unit, { want });
      expectGood(first);
      const look = await runOn(world, unit, { want, mode: "plan" });
      expect({ outcome: look.outcome, steps: look.steps }).toEqual({
        outcome: "converged",
        steps: [],
      });
      const all = world.picture("/");
      const second = await runOn(world, unit, { want });
      expect(second.outcome).toBe("converged");
      expect(world.picture("/")).toEqual(all);
    });

    law("failing before any step gives everything back", async (world, want) => {
      const was = before(world);
      for (let at = 0; ; at++) {
        const report = await runOn(world, unit, { want, say: failAt(at) });
        if (report.outcome !== "rolled-back") {
          expectGood(report);
          break;
        }
        expect(report.error?.why).toBe(PLANTED);
        expect(before(world)).toEqual(was);
        expectPaired(world);
      }
    });

    law("a run that is killed before any step is taken back by the next", async (world, want) => {
      const was = before(world);
      for (let at = 0; ; at++) {
        const copies: FakeWorld[] = [];
        const whole = fakeCopy(world);
        const report = await runOn(whole, unit, {
          want,
          say: atStep(at, () => copies.push(fakeCopy(whole))),
        });
        whole.dispose();
        expectGood(report);
        const [killed] = copies;
        if (!killed) break;
        loseHolder(killed);
        const undone = await runOn(killed, unit, { want, mode: "undo" });
        expect(undone.outcome).toBe("converged");
        expect(before(killed)).toEqual(was);
        expectPaired(killed);
        expectGood(await runOn(killed, unit, { want }));
        killed.dispose();
      }
    });

    law("undo gives everything back", async (world, want) => {
      const was = before(world);
      const report = await runOn(world, unit, { want });
      expectGood(report);
      if (report.outcome === "converged") return;
      const undone = await runOn(world, unit, { want, mode: "undo" });
      expect({ outcome: undone.outcome, error: undone.error, left: undone.left }).toEqual({
        outcome: report.steps.length > 0 && standing(world) ? "changed" : "converged",
        error: undefined,
        left: undefined,
      });
      expect(before(world)).toEqual(was);
      expectPaired(world);
    });

    law("every acting run leaves a begin and an end, without gaps", async (world, want) => {
      const report = await runOn(world, unit, { want });
      const entries = readJournal(createProbe(world.machine, FAKE_HOME, "testhost"));
      expect(entries.map((one) => one.index)).toEqual(entries.map((_, index) => index));
      expect(entries.filter((one) => one.run === report.run).map((one) => one.kind)).toEqual(
        expect.arrayContaining(["begin", "end"]),
      );
    });

    law("of two at once one acts and the other is told who holds the lock", async (world, want) => {
      const reports = await Promise.all([
        runOn(world, unit, { want }),
        runOn(world, unit, { want }),
      ]);
      const locked = reports.filter((one) => one.outcome === "locked");
      const others = reports.filter((one) => one.outcome !== "locked");
      others.forEach(expectGood);
      expect(others.length).toBeGreaterThan(0);
      expect(others.filter((one) => one.outcome === "changed").length).toBeLessThanOrEqual(1);
      for (const one of locked) expect(one.error?.why).toContain(`process ${process.pid}`);
    });

    law("dropping any one step leaves something to do", async (world, want) => {
      const whole = fakeCopy(world);
      const report = await runOn(whole, unit, { want });
      whole.dispose();
      expectGood(report);
      for (const { text } of report.steps) {
        const copy = fakeCopy(world);
        let why: string | undefined;
        const crippled: AnyUnit = {
          ...unit,
          plan: (facts, args) =>
            unit.plan(facts, args).filter((step) => {
              if (showStep(step, true).text !== text) return true;
              why ??= options.mayDrop?.(step);
              return false;
            }),
        };
        await runOn(copy, crippled, { want });
        const after = await runOn(copy, unit, { want, mode: "plan" });
        if (why === undefined)
          expect({ dropped: text, outcome: after.outcome }).not.toEqual({
            dropped: text,
            outcome: "converged",
          });
        copy.dispose();
      }
    });
  });
}

const PLANTED = "a planted failure";

function failAt(step: number) {
  return atStep(step, () => {
    throw new Error(PLANTED);
  });
}

/** A voice that does something when the engine is about to carry out its n-th step. */
function atStep(step: number, act: () => void) {
  let count = 0;
  return {
    ...SILENT,
    detail: (record: Readonly<Record<string, unknown>>) => {
      if ("step" in record && count++ === step) act();
    },
  };
}

function expectGood(report: RunReport) {
  const { outcome, error, left, findings } = report;
  if (outcome === "changed" || outcome === "converged") return;
  expect({ outcome, error, left, fails: findings.filter((one) => one.level === "fail") }).toEqual(
    {} as never,
  );
}

/** Every begin has its end. */
function expectPaired(world: FakeWorld) {
  const entries = readJournal(createProbe(world.machine, FAKE_HOME, "testhost"));
  const runs = (kind: string) => entries.filter((one) => one.kind === kind).map((one) => one.run);
  expect(runs("end").sort()).toEqual(runs("begin").sort());
}

function standing(world: FakeWorld): boolean {
  const entries = readJournal(createProbe(world.machine, FAKE_HOME, "testhost"));
  return entries.some((one) => one.kind === "end" && one.steps > 0);
}

/** What the engine of runs itself keeps, and what stays across an undo so that the next run can resume. */
function isRecord(path: string): boolean {
  const ours = [
    "runtime/work",
    "runtime/locks",
    "runtime/snapshots",
    "logs/journal",
    "logs/memory",
    "status",
    "history_main.log",
  ];
  return ours.some(
    (one) => path === join(FAKE_HOME, one) || path.startsWith(`${join(FAKE_HOME, one)}/`),
  );
}

/** The folders that these records stand in may stay. */
function isNoFrame(line: string): boolean {
  const frames = ["", "/runtime", "/logs"].map((one) => `${FAKE_HOME}${one}/ `);
  return !frames.some((frame) => line.startsWith(frame));
}

/** The same world again, as its disk is this very moment. */
function fakeCopy(world: FakeWorld): FakeWorld {
  const root = mkdtempSync(join(dirname(world.root), "shelter-fake-"));
  cpSync(world.root, root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  if (process.getuid?.() === 0) keepOwners(world.root, root);
  return world.at(root);
}

/** cpSync gives everything to who copies. */
function keepOwners(from: string, to: string) {
  const { uid, gid, mode } = lstatSync(from);
  if (uid !== 0 || gid !== 0) {
    lchownSync(to, uid, gid);
    if (!lstatSync(to).isSymbolicLink()) chmodSync(to, mode); // a change of owner clears some bits
  }
  if (!lstatSync(from).isDirectory()) return;
  for (const name of readdirSync(from)) keepOwners(join(from, name), join(to, name));
}

/** Makes every lock's holder one of an earlier boot, as after a power cut. */
function loseHolder(world: FakeWorld) {
  const locks = world.path(inHome.locks(FAKE_HOME));
  if (!existsSync(locks)) return;
  for (const name of readdirSync(locks)) {
    const path = join(locks, name, "holder.json");
    if (!existsSync(path)) {
      rmSync(join(locks, name), { recursive: true, force: true });
      continue;
    }
    const holder = JSON.parse(readFileSync(path, "utf8")) as object;
    writeFileSync(path, JSON.stringify({ ...holder, boot: "an-earlier-boot" }));
  }
}
