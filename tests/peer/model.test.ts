/** A model from the paired host: asked for by its hash, sent only if it was proven, and tried in the right order. */
import { expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { inHome } from "../../lib/keep/home.ts";
import type { CatalogueEntry } from "../../lib/llm/catalogue.ts";
import { sourcesOf } from "../../lib/llm/install.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import type { Source, Unit } from "../../lib/unit.ts";
import { FAKE_HOME, type FakeWorld } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { twoWorlds } from "../support/two_worlds.ts";

const keep = keptForEachTest();

const TEXT = "all of a model ".repeat(100_000);
const HASH = sha256(TEXT);
const STORED = inHome.store(FAKE_HOME, HASH);

const unit: Unit<boolean> = {
  id: "03_install_models",
  flag: "models_installed",
  summary: "Fetches one model",
  needs: {},
  observe: (probe) => Promise.resolve(probe.stat(STORED) !== undefined),
  diagnose: () => [],
  plan: (there) =>
    there
      ? []
      : [
          {
            ...{ do: "fetch", to: STORED, sha256: HASH, bytes: TEXT.length },
            from: [{ host: "shadow", path: "m.gguf" }],
          },
        ],
};

/** Puts the model into a host's store, and the proof of it where `proven`. */
function store(world: FakeWorld, proven: boolean): void {
  world.write(STORED, { text: TEXT, mode: 0o600 });
  if (!proven) return;
  const { mtimeMs: mtime, ino: inode, size: bytes } = lstatSync(world.path(STORED));
  const proof = { schema: 1, sha256: HASH, bytes, mtime, inode, at: "2026-02-01T00:00:00.000Z" };
  const text = JSON.stringify({ ...proof, head: { types: [] } });
  world.write(inHome.verified(FAKE_HOME, HASH), { text, mode: 0o600 });
}

test("a proven one comes over, one that is not proven stays where it is", async () => {
  for (const [proven, outcome] of [
    [true, "changed"],
    [false, "rolled-back"],
  ] as const) {
    const worlds = keep(twoWorlds());
    store(worlds.shadow, proven);
    const report = await runOn(worlds.phantom, unit, { host: "phantom" });
    expect([proven, report.outcome]).toEqual([proven, outcome]);
    if (proven) expect(worlds.phantom.read(STORED)).toBe(TEXT);
    else expect(report.error?.why).toContain("none that was proven");
    const asked = worlds.phantom.started.find(([name]) => name === "ssh") ?? [];
    expect(asked.slice(-3)).toEqual(["model", HASH, "0"]);
  }
});

test("the nearest source is tried first", () => {
  const disk: Source = { path: "/mnt/models/m.gguf" };
  const url: Source = { url: "https://example.org/m.gguf" };
  const entry = { sha256: HASH, file: "m.gguf", sources: [url, disk] } as unknown as CatalogueEntry;
  const host = (name: string): Source => ({ host: name, path: "m.gguf" });
  const order = (peers: Readonly<Record<string, readonly string[]>>, of = entry) =>
    sourcesOf({ peers }, of);
  expect(order({})).toEqual([disk, url]);
  expect(order({ shadow: [HASH], third: [] })).toEqual([disk, host("shadow"), url, host("third")]);
  const named = { ...entry, sources: [host("shadow")] } as unknown as CatalogueEntry;
  expect(order({ shadow: [HASH] }, named)).toEqual([host("shadow")]);
});
