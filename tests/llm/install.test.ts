/** 03_install_models on a fake machine: choosing, damage, quarantine, removal. */
import { afterEach, describe, expect, test } from "bun:test";
import { installedModels } from "../../lib/llm/store.ts";
import { sha256 } from "../../lib/machine/hash.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { humanReport } from "../../lib/report/human.ts";
import { painter } from "../../lib/report/palette.ts";
import { FAKE_HOME } from "../support/fake_machine.ts";
import { ggufFile, tinyModel, type GgufPlan } from "../support/gguf_writer.ts";
import { catalogueText } from "../support/models.ts";
import {
  A,
  at,
  B,
  disposeWorlds,
  finding,
  memory,
  run,
  servable,
  stored,
  world,
} from "../support/model_world.ts";

afterEach(disposeWorlds);

describe("choosing", () => {
  test("nobody asked: the catalogue's default; shared.cfg asks; the command line asks", async () => {
    const here = world();
    expect((await run(here)).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
    here.write(at("shared.cfg"), "models: [b]\n");
    expect((await run(here)).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a", "b"]);
    const other = world();
    expect((await run(other, { model: "b, a" })).outcome).toBe("changed");
    expect(await servable(other)).toEqual(["a", "b"]);
  });
  test("auto takes the most capable that fits, and stays with it while the memory is taken", async () => {
    const big = { ...B, claims: { rank: 900, layers: 30, kv_bytes: 500_000 } };
    const here = world({ models: [A, big], gib: 4 });
    expect((await run(here, { models: "auto" })).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["b"]);
    here.write("/proc/meminfo", memory(0.1));
    const again = await run(here, { models: "auto" });
    expect({ outcome: again.outcome, steps: again.steps }).toEqual({
      outcome: "converged",
      steps: [],
    });
  });
  test("an unknown name is refused and the known ones are named", async () => {
    const report = await run(world(), { models: "nonsense" });
    expect(report.outcome).toBe("blocked");
    expect(report.error?.why).toContain("phi-3-mini");
  });
  test("what does not fit is refused with its sum and what would fit; once there, it is only warned of", async () => {
    const here = world({ gib: 2 });
    const report = await run(here, { models: "mistral-7b-v0.3" });
    expect(report.outcome).toBe("blocked");
    expect(report.error?.id).toBe("does-not-fit-mistral-7b-v0.3");
    expect(report.error?.why).toContain(
      "4.1 GiB weights + 512 MiB KV cache + 124 MiB compute + 512 MiB margin = 5.2 GiB, 2.0 GiB are free",
    );
    expect(report.error?.why).toContain("what would fit:");
    expect((await run(here)).outcome).toBe("changed");
    here.write("/proc/meminfo", memory(0.05));
    const tight = await run(here);
    expect(tight.outcome).toBe("converged");
    expect(finding(tight.findings, "does-not-fit-a")?.level).toBe("warn");
  });
  test("a disk too small is told before anything is fetched", async () => {
    const huge = { ...A, claims: { bytes: 2 ** 40, kv_bytes: 1 } };
    const here = world({ models: [huge], gib: 2000 });
    const report = await run(here);
    expect(report.error?.id).toBe("disk-too-small");
    expect(here.exists(at("runtime/work/fetch"))).toBe(false);
  });
  test("a card's free memory counts", async () => {
    const gpu =
      "name, memory.total [MiB], memory.used [MiB]\nNVIDIA GeForce GTX 1050 Ti, 4096 MiB, 56 MiB\n";
    const report = await run(world({ gpu, gib: 8 }), { models: "phi-3-mini" }, "plan");
    const text = report.picture?.join("\n") ?? "";
    expect(text).toMatch(
      /= GPU\s+3\.9 GiB\s+of 3\.9 GiB free, 384 MiB margin included: 30 of 33 layers/,
    );
  });
  test("but not where the live engine computes on the CPU alone", async () => {
    const gpu = "name, memory.total [MiB], memory.used [MiB]\nGTX 1050 Ti, 4096 MiB, 56 MiB\n";
    const id = "b-0123456789ab";
    const engine = (backends: readonly string[]) => ({
      [at("runtime/llama.cpp/current")]: { link: id },
      [at(`runtime/llama.cpp/${id}/build-info.json`)]: JSON.stringify({
        ...{
          schema: 1,
          id,
          tag: "t",
          commit: "c",
          tree: "t",
          generator: "g",
          started: "s",
          jobs: 1,
        },
        ...{
          took_ms: 1,
          backends,
          flags: [],
          asked: { with: [], without: [] },
          inputs: {},
          files: {},
        },
      }),
    });
    const text = async (backends: readonly string[]) => {
      const here = world({ gpu, files: engine(backends) });
      return (await run(here, { models: "phi-3-mini" }, "plan")).picture?.join("\n");
    };
    expect(await text(["cpu"])).not.toContain("= GPU");
    expect(await text(["cpu", "cuda"])).toContain("= GPU");
  });
  test("a name that is taken by a file of the operator's is left alone", async () => {
    const here = world({ files: { [at("models/a.gguf")]: "mine" } });
    const report = await run(here);
    expect(report.error?.id).toBe("name-taken-a");
    expect(here.read(at("models/a.gguf"))).toBe("mine");
  });
  test("a catalogue that errs about sizes is told, and the file's own are reckoned with", async () => {
    const erring = { ...A, claims: { kv_bytes: 999, layers: 2 } };
    const here = world({ models: [erring] });
    expect(finding((await run(here)).findings, "catalogue-differs-a")?.why).toContain(
      "kvBytesPerToken 999, in the file 128",
    );
    const [model] = await installedModels(createProbe(here.machine, FAKE_HOME, "testhost"));
    expect(model?.entry?.kvBytesPerToken).toBe(128);
    here.write(at("models/local.yaml"), catalogueText([A], "a"));
    expect(finding((await run(here)).findings, "catalogue-differs-a")).toBeUndefined();
  });
  test("a damaged catalogue or shared.cfg blocks, with line and reason, and stays as it is", async () => {
    const here = world({ local: "models:\n  a: 5\n" });
    const report = await run(here);
    expect(report.outcome).toBe("blocked");
    expect(report.error?.why).toContain("line 2");
    expect(here.read(at("models/local.yaml"))).toBe("models:\n  a: 5\n");
    const other = await run(world({ files: { [at("shared.cfg")]: "models: {\n" } }));
    expect(other.error?.id).toBe("config-unusable");
  });
});

describe("a source that gives the wrong thing", () => {
  test("other bytes than the catalogue says: corrupt, set aside, nothing named", async () => {
    const lying = { ...A, claims: { sha256: "ab".repeat(32) } };
    const here = world({ models: [lying] });
    const report = await run(here);
    expect(report.outcome).toBe("corrupt");
    expect(report.error?.id).toBe("hash-differs");
    expect(await servable(here)).toEqual([]);
    expect(here.exists(at(`runtime/quarantine/${sha256(A.bytes)}`))).toBe(true);
    expect(here.exists(at("models/a.gguf"))).toBe(false);
  });
  test("the right hash, and yet no model: corrupt, never named, and the download is kept", async () => {
    const bytes = A.bytes.subarray(0, A.bytes.length - 40);
    const here = world({ models: [{ ...A, bytes }] });
    const report = await run(here);
    expect(report.outcome).toBe("corrupt");
    expect(report.error?.why).toContain("cut short");
    expect(here.exists(at("models/a.gguf"))).toBe(false);
    expect(here.exists(at(`runtime/work/fetch/${sha256(bytes)}/part`))).toBe(true);
  });

  const odd: readonly [string, Partial<GgufPlan>, RegExp][] = [
    ["no weights", { tensors: [] }, /holds no weights/],
    ["no architecture", { keys: [] }, /names no architecture/],
    [
      "one part of a model",
      { keys: [...tinyModel().keys, ["split.count", ["uint16", 3]]] },
      /one of 3 parts/,
    ],
  ];
  test.each(odd)("a sound file that is no whole model: %s", async (_, change, why) => {
    const here = world({ models: [{ ...A, bytes: ggufFile({ ...tinyModel(), ...change }) }] });
    const report = await run(here);
    expect(report.outcome).toBe("corrupt");
    expect(report.error?.why).toMatch(why);
    expect(await servable(here)).toEqual([]);
  });
  test("bytes that lay in the store before are not named until they are proven", async () => {
    const wrong = Buffer.alloc(A.bytes.length, 3);
    const here = world({ files: { [stored(A)]: { bytes: wrong } } });
    const look = await run(here, {}, "plan");
    expect(look.steps.map((one) => one.do)).toEqual(["call"]);
    expect((await run(here)).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
    expect(here.exists(at(`runtime/quarantine/${sha256(wrong)}`))).toBe(true);
  });
});

describe("an undo", () => {
  test("takes the model away and keeps the download for the next run", async () => {
    const here = world();
    await run(here);
    expect((await run(here, {}, "undo")).outcome).toBe("changed");
    expect(await servable(here)).toEqual([]);
    here.remove("/data/a");
    expect((await run(here)).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
  });
  test("of a removal brings it back", async () => {
    const here = world();
    await run(here, { models: "a,b" });
    expect((await run(here, { remove: "b" })).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a"]);
    expect((await run(here, { remove: "b" }, "undo")).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["a", "b"]);
  });
});

describe("a model of one's own", () => {
  test("--describe gives the entry, which then installs it", async () => {
    const here = world({ local: "", files: { "/data/own model.gguf": { bytes: B.bytes } } });
    const report = await run(here, { describe: "/data/own model.gguf" });
    expect(report.outcome).toBe("converged");
    const text = report.picture?.join("\n") ?? "";
    here.write(at("models/local.yaml"), text);
    expect((await run(here, { models: "own-model" })).outcome).toBe("changed");
    expect(await servable(here)).toEqual(["own-model"]);
  });
  test("a file that is no model is not described", async () => {
    const here = world({ files: { "/data/x": "no model" } });
    expect((await run(here, { describe: "/data/x" })).error?.why).toContain(
      "does not begin with GGUF",
    );
    expect((await run(here, { describe: "/data/none" })).error?.why).toContain("no such file");
  });
  test("terminal escapes in names and metadata reach no terminal", async () => {
    const evil = "\u001b[2J\u001b]0;x\u0007";
    const bytes = ggufFile(tinyModel(evil));
    const here = world({
      files: { "/data/evil": { bytes }, [at(`models/${evil}.gguf`)]: { bytes } },
    });
    const layout = { paint: painter(false), columns: 100, verbose: true };
    for (const want of [{ describe: "/data/evil" }, { list: true }, {}, { models: evil }]) {
      const report = await run(here, want);
      const text = humanReport(report, layout).join("\n");
      for (const raw of ["\u001b", "\u0007"]) expect(text).not.toContain(raw);
    }
  });
  test("a file put into models/ by hand is not served, and said", async () => {
    const here = world({ files: { [at("models/hand.gguf")]: { bytes: B.bytes } } });
    const report = await run(here);
    expect(await servable(here)).toEqual(["a"]);
    expect(finding(report.findings, "not-in-store-hand")?.fix?.[1]).toBe("--describe");
  });
});
