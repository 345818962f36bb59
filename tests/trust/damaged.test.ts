/** A trust file that is damaged: told with its place, moved aside, and paired over; the other pairings go on. */
import { expect, test } from "bun:test";
import { inHome } from "../../lib/keep/home.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { status } from "../../lib/orchestra/status.ts";
import type { PeerView } from "../../lib/orchestra/peers_view.ts";
import { observeMirror } from "../../lib/mirror/facts.ts";
import { diagnoseMirror } from "../../lib/mirror/findings.ts";
import { observePairing } from "../../lib/trust/facts.ts";
import { lostTrusts, paired, readTrust, soundTrust } from "../../lib/trust/store.ts";
import { pairUnit } from "../../lib/trust/unit.ts";
import { unit as structure } from "../../scripts/00_check_structure.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { scaffolded } from "../support/scaffolded.ts";
import { offerOf, trusts } from "../support/two_worlds.ts";

const keep = keptForEachTest();
const SHADOW = inHome.trust(FAKE_HOME, "shadow");
const probeOf = (world: FakeWorld) => createProbe(world.machine, FAKE_HOME, "phantom");

/** Paired with two hosts, one of them by a file that is no good any more. */
function damaged(world: FakeWorld, text = "{"): FakeWorld {
  trusts(world, offerOf("third"));
  world.write(SHADOW, { text, mode: 0o600 });
  return world;
}

test("it is named with line and reason, and stops no other pairing", () => {
  const whole = JSON.stringify({ ...offerOf("shadow"), pairedAt: "2026-01-01T00:00:00.000Z" });
  for (const [text, why] of [
    ["{", "line 1, column 2: the file ends too early"],
    [whole.slice(0, -1), "the file ends too early"],
    [whole.replace('"port":22', '"port":0'), "its port is not between 1 and 65535"],
    [whole.replace("2026-01-01T00:00:00.000Z", "soon"), "has no date"],
    [whole.replace("BEGIN CERTIFICATE", "BEGIN"), "line 1, column 1: "],
    [whole.replace('"name":"shadow"', '"name":"third"'), "it is not about shadow"],
  ] as const) {
    const world = damaged(keep(fakeMachine({})), text);
    const probe = probeOf(world);
    expect(paired(probe).map(({ name }) => name)).toEqual(["third"]);
    expect(lostTrusts(probe)).toMatchObject([
      { peer: "shadow", path: SHADOW, fix: ["./bin/shelter", "pair", "shadow"] },
    ]);
    expect(lostTrusts(probe)[0]?.damage).toContain(why);
    expect(soundTrust(probe, "shadow")).toBeUndefined();
    expect(() => readTrust(probe, "shadow")).toThrow(why);
    expect(readTrust(probe, "third")?.name).toBe("third");
  }
});

test("00_check_structure moves it aside, says how to pair anew, and goes on saying it until that is done", async () => {
  const world = damaged(await scaffolded(keep, {}, {}));
  const first = await runOn(world, structure);
  expect(first.outcome).toBe("changed");
  const found = (report: typeof first) =>
    report.findings.find(({ id }) => id === "trust-damaged:shadow");
  expect(found(first)).toMatchObject({
    level: "warn",
    fix: ["./bin/shelter", "pair", "shadow"],
  });
  expect(world.exists(SHADOW)).toBe(false);
  const [lost] = lostTrusts(probeOf(world));
  expect(lost?.path).toStartWith(`${SHADOW}.damaged-`);
  expect(world.read(lost?.path ?? "")).toBe("{");
  const second = await runOn(world, structure);
  expect(second.outcome).toBe("converged");
  expect(found(second)?.what).toContain("is set aside in runtime/trust/shadow.json.damaged-");
  trusts(world, offerOf("shadow"));
  expect(found(await runOn(world, structure))).toBeUndefined();
});

test("status names it with the command, beside the other hosts", async () => {
  const world = damaged(await scaffolded(keep, {}, {}));
  for (const word of ["line 1, column 2", "is set aside in"]) {
    const probe = probeOf(world);
    const place = { home: FAKE_HOME, host: "phantom" };
    const spoken = await status({ machine: world.machine, place, probe, want: {}, units: {} });
    const { peers } = spoken.json as unknown as { peers: PeerView[] };
    expect(peers.map(({ name }) => name).sort()).toEqual(["shadow", "third"]);
    const text = spoken.lines.join("\n");
    expect(text).toContain(word);
    expect(text).toContain("./bin/shelter pair shadow");
    await runOn(world, structure);
  }
});

test("a mirror says that it can't go there, and why", async () => {
  const world = keep(fakeMachine({}));
  world.write(SHADOW, "{");
  const facts = await observeMirror(probeOf(world), {});
  const [found] = diagnoseMirror(facts, {});
  expect(found).toMatchObject({
    id: "trust-damaged-shadow",
    level: "fail",
    fix: ["./bin/shelter", "pair", "shadow"],
  });
  expect(found?.what).toContain("line 1, column 2");
});

test("a pairing goes over it", async () => {
  const world = damaged(keep(fakeMachine({})));
  const offer = offerOf("shadow");
  const facts = await observePairing(probeOf(world), "shadow", offer);
  expect(facts.trust).toBeUndefined();
  const own = { ...offerOf("phantom") };
  const steps = pairUnit("shadow").plan(
    { ...facts, own, missingKeys: [], certificate: { daysLeft: 300, madeAt: facts.now } },
    {},
  );
  expect(steps).toContainEqual(expect.objectContaining({ do: "write", path: SHADOW }));
});
