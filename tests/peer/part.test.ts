/** Ending a pairing: the one that was named, all of it, on both hosts; and what is said where the other one can't be told. */
import { join } from "node:path";
import { expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { partners, standingPairings } from "../../lib/trust/unpair.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  pairableWorlds,
  type PairableHost,
  type PairableWorlds,
} from "../support/pairable_worlds.ts";

const kept = keptForEachTest();
const KEYS = "/home/op/.ssh/authorized_keys";

function worlds(...names: readonly string[]): PairableWorlds {
  return kept(pairableWorlds(names));
}

async function paired(at: PairableWorlds, from: string, to: string, want = {}) {
  const { outcome, error, left } = await at.pair(from, to, want);
  expect({ outcome, error, left }).toEqual({
    outcome: "changed",
    error: undefined,
    left: undefined,
  });
}

/** What of pairings a host holds. */
const held = ({ world, probe }: PairableHost) => ({
  partners: partners(probe),
  runs: standingPairings(probe).length,
  lets: [
    ...(world.exists(KEYS) ? world.read(KEYS) : "").matchAll(/>>> mountain-shelter (\w+) >>>/g),
  ].map((one) => one[1]),
  files: world
    .picture(`${FAKE_HOME}/runtime`, (path) => /\/(snapshots|locks|work)$/.test(path))
    .filter((line) => !line.includes("/ "))
    .map((line) => line.split(" ")[0]?.slice(`${FAKE_HOME}/runtime/`.length)),
});
const NOTHING = { partners: [], runs: 0, lets: [], files: [] };

test("a pairing that was renewed is ended by one undo, on both hosts, and each is as it was found", async () => {
  const at = worlds("phantom", "shadow");
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  phantom.world.write(KEYS, { text: "ssh-ed25519 AAAA mine", mode: 0o644 });
  const before = [phantom, shadow].map(({ world }) => world.picture("/home/op/.ssh"));
  await paired(at, "phantom", "shadow");
  await Bun.sleep(1100); // certificates have seconds
  await paired(at, "phantom", "shadow", { since: new Date().toISOString(), renew: true });
  expect([held(phantom).runs, held(shadow).runs]).toEqual([2, 2]);
  shadow.login = false; // who paired them need not have a login there any more
  expect(await at.part("phantom", "shadow")).toMatchObject({ outcome: "changed" });
  expect([held(phantom), held(shadow)]).toEqual([NOTHING, NOTHING]);
  expect([phantom, shadow].map(({ world }) => world.picture("/home/op/.ssh"))).toEqual(before);
  expect([phantom, shadow].map(({ probe }) => probe.list(inHome.snapshots(FAKE_HOME)))).toEqual([
    [],
    [],
  ]);
  expect(await at.part("phantom", "shadow")).toMatchObject({ outcome: "converged" });
}, 30_000);

test("the host that was asked ends it for both as well", async () => {
  const at = worlds("phantom", "shadow");
  await paired(at, "phantom", "shadow");
  at.host("phantom").login = false; // only phantom's operator has one on shadow
  expect(await at.part("shadow", "phantom")).toMatchObject({ outcome: "changed" });
  expect([held(at.host("phantom")), held(at.host("shadow"))]).toEqual([NOTHING, NOTHING]);
}, 30_000);

test.each([
  ["the earlier", "shadow", "attic"],
  ["the later", "attic", "shadow"],
])(
  "of two pairings %s is ended, and the other stands and works",
  async (_, gone, stays) => {
    const at = worlds("phantom", "shadow", "attic");
    const phantom = at.host("phantom");
    await paired(at, "phantom", "shadow");
    await paired(at, "phantom", "attic");
    expect(await at.part("phantom", gone)).toMatchObject({ outcome: "changed" });
    expect(held(at.host(gone))).toEqual(NOTHING);
    expect(held(phantom)).toMatchObject({ partners: [stays], runs: 1, lets: [stays] });
    expect(held(at.host(stays))).toMatchObject({ partners: ["phantom"], lets: ["phantom"] });
    expect(await at.pair("phantom", stays)).toMatchObject({ outcome: "converged" });
    await paired(at, "phantom", stays, { since: new Date(Date.now() + 1).toISOString() });
    expect(await at.part("phantom", stays)).toMatchObject({ outcome: "changed" });
    expect([held(phantom), held(at.host(stays))]).toEqual([NOTHING, NOTHING]);
    expect(phantom.world.exists("/home/op/.ssh")).toBe(false);
  },
  30_000,
);

test("keys that the operator added since stay", async () => {
  const at = worlds("phantom", "shadow");
  const { world } = at.host("phantom");
  await paired(at, "phantom", "shadow");
  world.write(KEYS, { text: `${world.read(KEYS)}ssh-ed25519 AAAA mine\n`, mode: 0o600 });
  expect(await at.part("phantom", "shadow")).toMatchObject({ outcome: "changed" });
  expect(world.read(KEYS)).toBe("ssh-ed25519 AAAA mine\n");
}, 30_000);

test("where the other host does not answer they are still paired, and it is said; this side alone is taken back where that is asked for", async () => {
  const at = worlds("phantom", "shadow");
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  await paired(at, "phantom", "shadow");
  const before = held(phantom);
  shadow.up = false;
  const refused = await at.part("phantom", "shadow");
  expect(refused).toMatchObject({
    outcome: "rolled-back",
    error: {
      id: "peer-unreachable",
      why: expect.stringContaining("still paired"),
      fix: ["./bin/shelter", "pair", "shadow", "--undo", "--forget"],
    },
  });
  expect(held(phantom)).toEqual(before);
  const alone = await at.part("phantom", "shadow", "if-it-answers");
  expect(alone).toMatchObject({
    outcome: "changed",
    left: [expect.stringContaining("on shadow: ./bin/shelter pair phantom --undo")],
  });
  expect([held(phantom), held(shadow).lets]).toEqual([NOTHING, ["phantom"]]);
  shadow.up = true;
  // phantom takes shadow's key no more, and shadow's operator has no login there
  phantom.login = false;
  expect(await at.part("shadow", "phantom")).toMatchObject({ outcome: "changed" });
  expect(held(shadow)).toEqual(NOTHING);
}, 30_000);

test("a pairing of which no run is known is ended too", async () => {
  const at = worlds("phantom", "shadow");
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  await paired(at, "phantom", "shadow");
  for (const { world } of [phantom, shadow]) {
    world.remove(`${FAKE_HOME}/logs/journal`);
    world.remove(inHome.snapshots(FAKE_HOME));
  }
  expect(await at.part("phantom", "shadow")).toMatchObject({ outcome: "changed" });
  expect([held(phantom), held(shadow)]).toEqual([NOTHING, NOTHING]);
}, 30_000);

test("a renewal that fails leaves both hosts paired as they were", async () => {
  const at = worlds("phantom", "shadow");
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  await paired(at, "phantom", "shadow");
  const trusts = () => [
    phantom.world.read(inHome.trust(FAKE_HOME, "shadow")),
    shadow.world.read(inHome.trust(FAKE_HOME, "phantom")),
  ];
  const before = trusts();
  await Bun.sleep(1100); // certificates have seconds
  phantom.up = false; // shadow can't prove the way back
  const since = new Date().toISOString();
  const failed = await at.pair("phantom", "shadow", { since, renew: true });
  expect([failed.outcome, failed.left, trusts()]).toEqual(["rolled-back", undefined, before]);
  phantom.up = true;
  expect(await at.pair("phantom", "shadow")).toMatchObject({ outcome: "converged" });
}, 30_000);

test("a pairing that was cut off at its end is ended on both sides as well", async () => {
  const at = kept(pairableWorlds(["phantom", "shadow"]));
  const [phantom, shadow] = [at.host("phantom"), at.host("shadow")];
  expect(await at.pair("phantom", "shadow")).toMatchObject({ outcome: "changed" });
  const journal = join(inHome.journal(FAKE_HOME, "phantom"), "00000000.jsonl");
  const lines = phantom.world.read(journal).trimEnd().split("\n");
  const { run } = JSON.parse(lines.at(-1) ?? "") as { readonly run: string };
  phantom.world.write(journal, `${lines.slice(0, -1).join("\n")}\n`);
  phantom.world.remove(join(inHome.snapshots(FAKE_HOME, run), "left.json"));
  phantom.world.remove(join(FAKE_HOME, "status"));
  await at.part("phantom", "shadow");
  expect(partners(phantom.probe)).toEqual([]);
  expect(partners(shadow.probe)).toEqual([]);
});
