/** What 03_install_models says unasked: each made to appear and to vanish. */
import { afterEach, describe, expect, test } from "bun:test";
import { truncateSync } from "node:fs";
import { observeModels } from "../../lib/llm/install_facts.ts";
import { unaskedOfModels } from "../../lib/llm/install_unasked.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import type { Args } from "../../lib/unit.ts";
import { FAKE_HOME, type FakeWorld } from "../support/fake_machine.ts";
import { ggufFile, tinyModel, type GgufPlan } from "../support/gguf_writer.ts";
import type { TestModel } from "../support/models.ts";
import { A, at, disposeWorlds, finding, memory, run, world } from "../support/model_world.ts";

afterEach(disposeWorlds);

describe("what nobody asked about appears and vanishes", () => {
  const DAY = 86_400_000;
  const asked = async (here: FakeWorld, id: string, want: Args = {}) =>
    finding((await run(here, want, "plan")).unasked, id);
  const q41 = (name: string, type: number): TestModel => ({
    name,
    bytes: ggufFile({ ...tinyModel(name), tensors: [{ name: "t", shape: [32, 64], type }] }),
    sources: [{ path: `/data/${name}` }],
    claims: { title: "The same", quantisation: type === 3 ? "Q4_1" : "Q4_0" },
  });

  test("a quantisation without fast kernels, with the alternative", async () => {
    const here = world({ models: [q41("old", 3), q41("new", 2)] });
    await run(here);
    expect((await asked(here, "slow-quantisation-old"))?.fix).toEqual(["03_install_models", "new"]);
    await run(here, { models: "new" });
    expect(await asked(here, "slow-quantisation-new")).toBeUndefined();
    here.write("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2\n"); // no AVX2: none has them
    expect(await asked(here, "slow-quantisation-old")).toBeUndefined();
  });
  test("bytes that were long not proven", async () => {
    let now = Date.parse("2026-01-01T00:00:00Z");
    const here = world({ now: () => now });
    await run(here);
    now += 30 * DAY;
    expect(await asked(here, "long-unproven-a")).toBeUndefined();
    now += DAY;
    expect((await asked(here, "long-unproven-a"))?.what).toContain("31 days");
    await run(here, { recheck: true });
    expect(await asked(here, "long-unproven-a")).toBeUndefined();
  });
  test("a large model that shared.cfg does not ask for, and large files without a name", async () => {
    const here = world();
    await run(here, { models: "a,b" });
    const said = async (id: string) => {
      const facts = await observeModels(createProbe(here.machine, FAKE_HOME, "testhost"), {});
      const large = facts.files.map((file) => ({ ...file, bytes: 2 ** 30 }));
      expect(finding(unaskedOfModels(facts), id)).toBeUndefined(); // a few kilobytes are not worth a word
      return finding(unaskedOfModels({ ...facts, files: large }), id);
    };
    expect(await said("unused-b")).toBeUndefined();
    here.write(at("shared.cfg"), "models: [a]\n");
    expect((await said("unused-b"))?.fix).toEqual(["03_install_models", "--remove", "b"]);
    expect(await said("files-without-name")).toBeUndefined();
    here.remove(at("models/b.gguf"));
    expect(await said("unused-b")).toBeUndefined();
    expect((await said("files-without-name"))?.fix).toEqual([
      "03_install_models",
      "--remove",
      "nameless",
    ]);
    expect((await run(here, { remove: "nameless" })).outcome).toBe("changed");
    expect(await said("files-without-name")).toBeUndefined();
  });
  test("a host that could run more", async () => {
    const here = world({ models: [A], gib: 16 });
    await run(here);
    expect((await asked(here, "could-run-more"))?.fix).toEqual(["03_install_models", "qwen3.5-4b"]);
    here.write("/proc/meminfo", memory(1));
    expect(await asked(here, "could-run-more")).toBeUndefined();
    here.write("/proc/meminfo", memory(16));
    here.write(at("shared.cfg"), "models: [a]\n"); // the operator chose
    expect(await asked(here, "could-run-more")).toBeUndefined();
  });
  test("files in quarantine, and a download that was stopped", async () => {
    const here = world();
    await run(here);
    expect(await asked(here, "quarantine-not-empty")).toBeUndefined();
    here.write(at("runtime/quarantine/x"), "damaged");
    expect((await asked(here, "quarantine-not-empty"))?.what).toContain("1 damaged file(s)");
    const hash = "8a83c7fb9049a9b2e92266fa7ad04933bb53aa1e85136b7b30f1b8000ff2edef";
    expect(await asked(here, "half-fetched-phi-3-mini")).toBeUndefined();
    here.write(at(`runtime/work/fetch/${hash}/part`), "");
    truncateSync(here.path(at(`runtime/work/fetch/${hash}/part`)), 300 * 2 ** 20);
    expect((await asked(here, "half-fetched-phi-3-mini"))?.what).toContain("300 MiB of 2.2 GiB");
  });
  test("a model that the card holds only in part", async () => {
    const gpu = (free: number) =>
      `name, memory.total [MiB], memory.used [MiB]\nGTX 1050 Ti, ${free} MiB, 0 MiB\n`;
    const keys: GgufPlan["keys"] = [
      ["general.architecture", ["string", "phi3"]],
      ["phi3.block_count", ["uint32", 32]],
      ["phi3.context_length", ["uint32", 4096]],
      ["phi3.embedding_length", ["uint32", 3072]],
      ["phi3.attention.head_count", ["uint32", 32]],
    ];
    const split: TestModel = {
      ...A,
      bytes: ggufFile({ ...tinyModel(), keys }),
      claims: { layers: 32, kv_bytes: 393_216, context: 4096, vocabulary: 32_064, embedding: 3072 },
    };
    const here = world({ models: [split], gpu: gpu(1500) });
    await run(here);
    expect((await asked(here, "split-a"))?.why).toContain("q8_0 KV cache");
    const roomy = world({ models: [split], gpu: gpu(4096) });
    await run(roomy);
    expect(await asked(roomy, "split-a")).toBeUndefined();
  });
});
