/** `shelter undo` where the host is paired, or was updated: neither is a script's run. */
import { join } from "node:path";
import { expect, test } from "bun:test";
import { journalled } from "../../lib/engine/journalled.ts";
import { inHome } from "../../lib/keep/home.ts";
import { undo } from "../../lib/orchestra/undo.ts";
import { partners } from "../../lib/trust/unpair.ts";
import type { Args, Json, Unit } from "../../lib/unit.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { pairableWorlds, type PairableHost } from "../support/pairable_worlds.ts";
import { runOn, SILENT } from "../support/run.ts";

const kept = keptForEachTest();
const SCRIPT = "02_scaffold_dirs";
const NOTE = join(FAKE_HOME, "note");
const UNIT: Unit<boolean> = {
  id: SCRIPT,
  flag: "dirs_scaffolded",
  summary: "Writes a note",
  needs: {},
  observe: (probe) => Promise.resolve(probe.stat(NOTE) !== undefined),
  diagnose: () => [],
  plan: (there) => (there ? [] : [{ do: "write", path: NOTE, content: "x", mode: 0o600 }]),
};

/** phantom, where a script has run, paired with shadow. */
async function paired() {
  const at = kept(pairableWorlds(["phantom", "shadow"]));
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  await runOn(phantom.world, UNIT, { host: "phantom" });
  expect(await at.pair("phantom", "shadow")).toMatchObject({ outcome: "changed" });
  return { at, phantom, shadow };
}

/** What `shelter undo` gives on a host, or what it throws. */
const undoOn = (host: PairableHost, want: Args) =>
  undo({
    ...host.desk({ json: true, yes: true, ...want }),
    units: { [SCRIPT]: () => Promise.resolve({ unit: UNIT }) },
  }).catch((error: unknown) => error);

const stands = ({ world, probe }: PairableHost) => ({
  note: world.exists(NOTE),
  keys: world.exists(inHome.identity(FAKE_HOME, "operator")),
  partners: partners(probe),
});
const WHOLE = { note: true, keys: true, partners: ["shadow"] };

test("undo --all ends the pairing on both hosts, and only then are the keys gone", async () => {
  const { phantom, shadow } = await paired();
  expect(await undoOn(phantom, { all: true })).toMatchObject({
    exit: 0,
    json: { outcome: "changed" },
  });
  expect(stands(phantom)).toEqual({ note: false, keys: false, partners: [] });
  expect([partners(shadow.probe), shadow.world.exists("/home/op/.ssh")]).toEqual([[], false]);
  expect(phantom.world.exists("/home/op/.ssh")).toBe(false);
});

test("undo --all with a paired host that does not answer takes back nothing, and names the way", async () => {
  const { phantom, shadow } = await paired();
  shadow.up = false;
  expect(await undoOn(phantom, { all: true })).toMatchObject({
    id: "peer-unreachable",
    why: expect.stringContaining("Nothing was taken back"),
    fix: ["./bin/shelter", "pair", "shadow", "--undo", "--forget"],
  });
  expect(stands(phantom)).toEqual(WHOLE);
  const gone = (await undoOn(phantom, { all: true, forget: true })) as {
    readonly exit: number;
    readonly lines: readonly string[];
  };
  expect(gone.exit).toBe(0);
  expect(gone.lines.join("\n")).toContain("on shadow: ./bin/shelter pair phantom --undo");
  expect(stands(phantom)).toEqual({ note: false, keys: false, partners: [] });
});

test("undo --all of one script leaves the pairing alone", async () => {
  const { phantom } = await paired();
  expect(await undoOn(phantom, { all: true, script: SCRIPT })).toMatchObject({ exit: 0 });
  expect(stands(phantom)).toEqual({ ...WHOLE, note: false });
});

test("undo --all with root's hands refuses: the keys are the owner's", async () => {
  const { phantom } = await paired();
  const desk = phantom.desk({ json: true, all: true });
  const asRoot = { ...desk, probe: { ...desk.probe, me: { ...desk.probe.me, root: true } } };
  const owner = { uid: 1000, gid: 1000 };
  const probe = { ...asRoot.probe, owner };
  expect(await undo({ ...asRoot, probe }).catch((error: unknown) => error)).toMatchObject({
    id: "not-as-root",
    fix: ["./bin/shelter", "pair", "shadow", "--undo"],
  });
  expect(stands(phantom)).toEqual(WHOLE);
});

test("undo right after a pairing names it, on either host, and takes back nothing else", async () => {
  const { at, phantom, shadow } = await paired();
  expect(await undoOn(phantom, {})).toMatchObject({
    id: "last-is-pairing",
    why: expect.stringContaining(`./bin/shelter undo ${SCRIPT}`),
    fix: ["./bin/shelter", "pair", "shadow", "--undo"],
  });
  expect(await undoOn(shadow, {})).toMatchObject({
    fix: ["./bin/shelter", "pair", "phantom", "--undo"],
  });
  expect(stands(phantom)).toEqual(WHOLE);
  expect(await undoOn(phantom, { script: SCRIPT })).toMatchObject({ exit: 0 });
  expect(stands(phantom)).toEqual({ ...WHOLE, note: false });
  await runOn(phantom.world, UNIT, { host: "phantom" });
  expect(await undoOn(phantom, {})).toMatchObject({ exit: 0, json: { outcome: "changed" } });
  expect(stands(phantom)).toEqual({ ...WHOLE, note: false });
  await at.part("phantom", "shadow");
  expect(await undoOn(phantom, {})).toMatchObject({ exit: 0, json: { outcome: "converged" } });
});

test("undo right after an update names its way back, and once that was gone takes back the run before", async () => {
  const at = kept(pairableWorlds(["phantom"]));
  const phantom = at.host("phantom");
  await runOn(phantom.world, UNIT, { host: "phantom" });
  const { probe, act } = phantom;
  const context = { probe, act, say: SILENT, signal: new AbortController().signal };
  const did = (facts: Json) =>
    journalled(context, { script: "08_shelter_update", flag: "updated", what: "x" }, () =>
      Promise.resolve({ outcome: "changed", facts } as const),
    );
  await did({ from: {}, build: {}, migrated: {} });
  expect(await undoOn(phantom, {})).toMatchObject({
    id: "last-is-update",
    fix: ["./bin/shelter", "update", "--back"],
  });
  expect(phantom.world.exists(NOTE)).toBe(true);
  await did({ from: {}, release: "abc", replaced: 22 });
  expect(await undoOn(phantom, {})).toMatchObject({ exit: 0, json: { outcome: "changed" } });
  expect(phantom.world.exists(NOTE)).toBe(false);
});
