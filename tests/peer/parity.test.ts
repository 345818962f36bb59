/** What differs between two homes: each kind appears and vanishes, with its direction and its time; and a host that is not there is no failure. */
import { describe, expect, test } from "bun:test";
import { utimesSync } from "node:fs";
import type { Holdings } from "../../lib/peer/holdings.ts";
import { differences } from "../../lib/peer/parity.ts";
import type { ParityFacts } from "../../lib/peer/parity_facts.ts";
import type { Word } from "../../lib/peer/word.ts";
import type { Release } from "../../lib/release.ts";
import { unit as structure } from "../../scripts/00_check_structure.ts";
import { unit as scaffold } from "../../scripts/02_scaffold_dirs.ts";
import { FAKE_HOME, type FakeMachineOptions, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { offerOf, trusts, twoWorlds } from "../support/two_worlds.ts";

const hash = (digit: string) => digit.repeat(64);
const held = (digit: string, at = "2026-02-01T10:00:00.000Z") => ({ sha256: hash(digit), at });
const RELEASE: Release = {
  ...{ version: "0.1.0", commit: "a".repeat(40), dirty: false },
  ...{ target: "bun-linux-x64", bun: "1.4.4" },
};
const HOLDS: Holdings = {
  programs: held("1"),
  config: held("2"),
  files: { "agents/a.yaml": held("3") },
  models: { tiny: held("4") },
  engine: {
    ...{ id: "b-1", tag: "v0.5.0", backends: ["cpu"], flags: ["GGML_NATIVE=ON"] },
    at: "2026-02-01T10:00:00.000Z",
  },
};
const OWN: ParityFacts["own"] = { host: "phantom", release: RELEASE, holds: HOLDS };
const word = (holds: Partial<Holdings> = {}, release: Partial<Release> = {}): Word => ({
  ...{ schema: 1, host: "shadow", at: "2026-02-02T00:00:00.000Z", home: "/home/op/s" },
  ...{ scripts: [], running: [], watch: null },
  release: { ...RELEASE, ...release },
  holds: { ...HOLDS, ...holds },
});
const said = (theirs: Word, own = OWN) => differences(own, theirs).map((one) => one.what);
const LATER = "2026-02-03T12:30:00.000Z";

describe("differences", () => {
  test("none where both hold the same", () => {
    expect(differences(OWN, word())).toEqual([]);
    expect(differences(OWN, word({ programs: held("9") }, { target: "bun-linux-arm64" }))).toEqual(
      [],
    );
  });

  test("programs: older, newer, or the same release with other bytes", () => {
    const older = word(
      { programs: held("9", "2026-01-01T00:00:00.000Z") },
      { commit: "b".repeat(40) },
    );
    expect(said(older)).toEqual([
      "shadow runs older programs than this host: 0.1.0 (bbbbbbbbbbbb), here 0.1.0 (aaaaaaaaaaaa), since 2026-02-01T10:00Z",
    ]);
    expect(differences(OWN, older)[0]?.fix).toEqual(["./bin/05_rsync_mirror", "--plan"]);
    const newer = word({}, { version: "0.2.0" });
    expect(said(newer)[0]).toStartWith("shadow runs newer programs");
    expect(differences(OWN, newer)[0]?.fix).toEqual(["./bin/shelter", "update"]);
    expect(said(word({ programs: held("9", LATER) }))[0]).toContain("since 2026-02-03T12:30Z");
  });

  test("shared.cfg: which one is newer, and since when they differ", () => {
    expect(said(word({ config: held("9", LATER) }))).toEqual([
      "shared.cfg differs: the one on shadow is the newer one, since 2026-02-03T12:30Z",
    ]);
    expect(said(word({ config: held("9", "2026-01-01T00:00:00.000Z") }))).toEqual([
      "shared.cfg differs: the one here is the newer one, since 2026-02-01T10:00Z",
    ]);
    expect(said(word({ config: null }))).toEqual(["shared.cfg is here alone"]);
  });

  test("agents and models: what is where, and newer where", () => {
    const files = { "agents/b.yaml": held("5", LATER), "agents/a.yaml": held("6", LATER) };
    expect(said(word({ files }))).toEqual([
      "agents and dashboards differ: agents/b.yaml only on shadow; agents/a.yaml newer on shadow, since 2026-02-03T12:30Z",
    ]);
    const [models] = differences(OWN, word({ models: { big: held("7"), tiny: held("8") } }));
    expect(models).toMatchObject({
      level: "warn",
      what: "the models differ: big only on shadow; tiny another file under the same name, since 2026-02-01T10:00Z",
      fix: ["./bin/03_install_models", "--model", "big"],
    });
    expect(said(word({ models: {} }))[0]).toContain("tiny only here");
  });

  test("engines: only one, another release, other flags", () => {
    const { engine } = HOLDS;
    if (!engine) throw new Error("no engine");
    expect(differences(OWN, word({ engine: null }))[0]).toMatchObject({
      what: "an engine is live only here, since 2026-02-01T10:00Z",
      fix: ["./bin/03_build_llama_cpp", "--host", "shadow"],
    });
    expect(
      differences(OWN, word({ engine: { ...engine, tag: "v0.6.0", at: LATER } }))[0],
    ).toMatchObject({
      level: "warn",
      what: "the engines are of different releases: llama.cpp v0.5.0 here, v0.6.0 on shadow, since 2026-02-03T12:30Z",
      fix: ["./bin/03_build_llama_cpp"],
    });
    const flags = [...engine.flags, "GGML_CUDA=ON"];
    expect(differences(OWN, word({ engine: { ...engine, flags } }))[0]).toMatchObject({
      level: "info",
      what: "the engines are built differently: GGML_CUDA=ON only on shadow, since 2026-02-01T10:00Z",
    });
    const neither = { ...OWN, holds: { ...HOLDS, engine: null } };
    expect(said(word({ engine: null }), neither)).toEqual([]);
  });
});

const keep = keptForEachTest();
async function homes(phantom: FakeMachineOptions = {}, shadow: FakeMachineOptions = {}) {
  const worlds = keep(twoWorlds(phantom, shadow));
  await runOn(worlds.phantom, scaffold, { host: "phantom" });
  await runOn(worlds.shadow, scaffold, { host: "shadow" });
  return worlds;
}
async function check(world: FakeWorld) {
  const report = await runOn(world, structure, { host: "phantom" });
  const of = (id: string) => report.findings.find((one) => one.id === id);
  return { report, of };
}

describe("00_check_structure", () => {
  test("holds both homes side by side, and a change on either shows", async () => {
    const { phantom, shadow } = await homes();
    const same = await check(phantom);
    expect(same.of("parity.shadow")?.level).toBe("ok");
    shadow.write(`${FAKE_HOME}/shared.cfg`, { text: "hosts: {}\n", mode: 0o600 });
    utimesSync(shadow.path(`${FAKE_HOME}/shared.cfg`), 1_800_000_000, 1_800_000_000);
    const { report, of } = await check(phantom);
    expect(of("parity-config.shadow")?.what).toContain(
      "on shadow is the newer one, since 2027-01-15T08:00Z",
    );
    expect(["converged", "changed"]).toContain(report.outcome);
  });

  test("a host that is gone is unknown, one with another key a warning: never this home's failure", async () => {
    for (const [stderr, level, id] of [
      ["No route to host", "unknown", "parity.shadow"],
      ["Host key verification failed.", "warn", "parity.shadow"],
    ] as const) {
      const { phantom } = await homes({ programs: { ssh: () => ({ code: 255, stderr }) } });
      const { report, of } = await check(phantom);
      expect([of(id)?.level, of(id)?.what.includes("is not known")]).toEqual([level, true]);
      expect(["converged", "changed"]).toContain(report.outcome);
    }
  });

  test("what the watcher knows to be down is not waited for", async () => {
    const { phantom } = await homes();
    const at = new Date().toISOString();
    const up = { state: "up", since: at, restarts: 0 };
    const down = { name: "shadow", state: "down", since: "2026-02-01T10:00:00.000Z" };
    const state = {
      ...{ schema: 1, host: "phantom", at, boot: "b", since: at, engine: up, gateway: up },
      ...{ peer: down, others: [], mirror: {}, power: {}, health: [], alerts: [], halted: [] },
    };
    phantom.write(`${FAKE_HOME}/runtime/state/watch.json`, {
      text: JSON.stringify(state),
      mode: 0o600,
    });
    const before = phantom.started.length;
    const { of } = await check(phantom);
    expect(of("parity.shadow")?.what).toContain("since 2026-02-01T10:00:00.000Z");
    expect(phantom.started.slice(before).filter(([name]) => name === "ssh")).toEqual([]);
  });

  test("clocks that are apart and certificates that end are said", async () => {
    const ahead = await homes({}, { now: () => Date.now() + 3_600_000 });
    expect((await check(ahead.phantom)).of("clock.shadow")?.what).toContain("ahead of this host's");
    const { phantom } = await homes();
    expect((await check(phantom)).of("clock.shadow")).toBeUndefined();
    expect(
      (await check(phantom)).report.findings.filter((one) => one.id.startsWith("certificate")),
    ).toEqual([]);
    trusts(phantom, offerOf("shadow", 3));
    expect((await check(phantom)).of("certificate-ends.shadow")?.what).toContain("ends on");
    trusts(phantom, offerOf("shadow", -1));
    expect((await check(phantom)).of("certificate-ends.shadow")?.what).toContain("ended on");
  });

  test("a pairing that can't be read is said", async () => {
    const { phantom } = await homes();
    phantom.write(`${FAKE_HOME}/runtime/trust/shadow.json`, { text: "{", mode: 0o600 });
    expect((await check(phantom)).of("trust-damaged:shadow")?.level).toBe("warn");
  });
});
