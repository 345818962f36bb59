/** Which back-ends a host gets, and why not the others. */
import { describe, expect, test } from "bun:test";
import { chooseBackends, type Choice, wishes } from "../../../lib/llm/build/backends.ts";
import type { BuildFacts } from "../../../lib/llm/build/facts.ts";
import { GCC12, GCC15, PHANTOM, PLAIN, SHADOW, WITH_AMX } from "./worlds.ts";

const choose = (facts: BuildFacts): Choice =>
  chooseBackends({ ...facts, isa: facts.cpu.isa }, facts.asked);
const why = (facts: BuildFacts, part: string) =>
  choose(facts).refused.find((one) => one.part === part);

describe("a plain host, phantom and shadow", () => {
  test("a plain host computes on its CPU, and is told why on nothing else", () => {
    const choice = choose(PLAIN);
    expect(choice.backends).toEqual(["cpu"]);
    expect(choice.refused.map((one) => [one.part, one.serious])).toEqual([
      ["cuda", false],
      ["vulkan", false],
      ["amx", false],
    ]);
  });
  test("phantom gets Vulkan for its integrated GPU", () => {
    expect(choose(PHANTOM).backends).toEqual(["cpu", "vulkan"]);
  });
  test("shadow gets CUDA for 6.1 alone, compiled with g++-11, and no Vulkan: its glslc is too old", () => {
    const choice = choose(SHADOW);
    expect(choice.backends).toEqual(["cpu", "cuda"]);
    expect(choice.cuda).toEqual({ architectures: ["61"], hostCompiler: "/usr/bin/g++-11" });
    expect(why(SHADOW, "vulkan")?.because).toContain("CUDA serves the same card");
  });
});

describe("CUDA is refused, with the reason", () => {
  const withNvcc = (version: string): BuildFacts => ({
    ...SHADOW,
    cuda: { ...SHADOW.cuda, nvcc: { path: "/usr/bin/nvcc", version } },
  });
  test.each(["13.0", "13.1"])("CUDA %s dropped Pascal", (version) => {
    const refusal = why(withNvcc(version), "cuda");
    expect(refusal?.because).toContain("no longer compiles for Pascal (compute capability 6.1)");
    expect(refusal?.because).toContain("11.8 to 12.x");
    expect(refusal?.serious).toBe(true);
  });
  test("CUDA 11.4 is too old", () => {
    expect(why(withNvcc("11.4"), "cuda")?.because).toContain("too old");
  });
  test.each(["11.8", "12.0", "12.2", "12.4", "12.9"])("CUDA %s serves it", (version) => {
    expect(choose(withNvcc(version)).cuda?.architectures).toEqual(["61"]);
  });
  test("the default g++ 12 will do from CUDA 12.0 on", () => {
    expect(choose(withNvcc("12.0")).cuda?.hostCompiler).toBeUndefined();
    expect(choose(withNvcc("11.8")).cuda?.hostCompiler).toBe("/usr/bin/g++-11");
  });
  test("without a compiler that CUDA 11.8 takes, and the line that installs one", () => {
    const refusal = why(
      { ...SHADOW, toolchain: { ...SHADOW.toolchain, hostCompilers: [] } },
      "cuda",
    );
    expect(refusal?.because).toContain("takes GCC 11 at most");
    expect(refusal?.fix).toEqual(["apt-get", "install", "-y", "g++-11"]);
  });
  test("driver 590 no longer serves Pascal; 580 does", () => {
    const driver = (version: string): BuildFacts => ({
      ...SHADOW,
      cuda: { ...SHADOW.cuda, driver: version },
    });
    expect(why(driver("590.44.01"), "cuda")?.because).toContain("580 is the last branch");
    expect(choose(driver("580.95.05")).backends).toContain("cuda");
    expect(why({ ...SHADOW, cuda: { nvcc: SHADOW.cuda.nvcc } }, "cuda")?.because).toContain(
      "driver is not loaded",
    );
  });
  test("a driver older than CUDA 12 wants", () => {
    const facts = withNvcc("12.2");
    const refusal = why({ ...facts, cuda: { ...facts.cuda, driver: "470.256.02" } }, "cuda");
    expect(refusal?.because).toContain("needs branch 525");
  });
  test("a card newer than the compiler", () => {
    const graphics = [
      { address: "0000:01:00.0", id: "10de:2c05", vendor: "nvidia", computeCapability: "12.0" },
    ] as const;
    expect(why({ ...withNvcc("12.4"), graphics }, "cuda")?.because).toContain("does not know");
    expect(choose({ ...withNvcc("12.8"), graphics }).backends).toContain("cuda");
  });
  test("no nvcc", () => {
    const refusal = why({ ...SHADOW, cuda: { driver: SHADOW.cuda.driver } }, "cuda");
    expect(refusal?.fix).toContain("nvidia-cuda-toolkit");
  });
});

describe("Vulkan is refused, with the reason", () => {
  const vulkan = (change: Partial<BuildFacts["vulkan"]>): BuildFacts => ({
    ...PHANTOM,
    vulkan: { ...PHANTOM.vulkan, ...change },
  });
  test("Debian 12's glslc lacks cooperative matrices", () => {
    const refusal = why(vulkan({ glslc: SHADOW.vulkan.glslc }), "vulkan");
    expect(refusal?.because).toContain("2023.2 is too old");
    expect(refusal?.because).toContain("coopmat");
    expect(refusal?.serious).toBe(true);
  });
  test("what is missing is named, and the line installs exactly that", () => {
    const refusal = why(vulkan({ glslc: undefined, spirv: false }), "vulkan");
    expect(refusal?.because).toContain("glslc, spirv-headers");
    expect(refusal?.fix).toEqual(["apt-get", "install", "-y", "glslc", "spirv-headers"]);
  });
  test("no driver", () => {
    expect(why(vulkan({ drivers: [] }), "vulkan")?.because).toContain("no Vulkan driver");
  });
  test("a software driver alone is no reason to build it, but it can be asked for", () => {
    const software = vulkan({ drivers: ["lvp_icd.json"], softwareOnly: true });
    expect(why(software, "vulkan")?.because).toContain("computes on the CPU");
    const asked = { ...software, asked: { with: ["vulkan"], without: [] } };
    expect(choose(asked).backends).toEqual(["cpu", "vulkan"]);
  });
});

describe("AMX", () => {
  const amx = (compiler: BuildFacts["toolchain"]["compiler"]): BuildFacts => ({
    ...PLAIN,
    cpu: { ...PLAIN.cpu, isa: [...PLAIN.cpu.isa, "amx_tile", "amx_int8"] },
    toolchain: { ...PLAIN.toolchain, compiler },
  });
  test("is used, put right where the compiler breaks it, and left out where it is unknown", () => {
    const broken = choose(amx({ ...GCC12, native: WITH_AMX, amx: "miscompiled" }));
    expect([broken.amx, broken.workarounds]).toEqual([true, ["amx-tile-config"]]);
    const sound = choose(amx({ ...GCC15, native: WITH_AMX, amx: "sound" }));
    expect([sound.amx, sound.workarounds]).toEqual([true, []]);
    const unknown = amx(GCC12);
    expect(why(unknown, "amx")?.because).toContain("does not know it");
    expect(choose(unknown).workarounds).toEqual([]);
    const asked = { with: [], without: ["amx"] };
    const without = choose({ ...amx({ ...GCC12, native: WITH_AMX, amx: "miscompiled" }), asked });
    expect([without.amx, without.workarounds]).toEqual([false, []]);
  });
});

test("a processor with AVX-512 has its buffers laid out for it, with AMX put right beside", () => {
  const cpu = { ...PLAIN.cpu, isa: [...PLAIN.cpu.isa, "avx512f", "amx_tile", "amx_int8"] };
  const compiler = { ...GCC12, native: WITH_AMX, amx: "miscompiled" } as const;
  expect(choose({ ...PLAIN, cpu }).workarounds).toEqual(["avx512-alignment"]);
  const both = choose({ ...PLAIN, cpu, toolchain: { ...PLAIN.toolchain, compiler } });
  expect(both.workarounds).toEqual(["amx-tile-config", "avx512-alignment"]);
  expect(choose(PLAIN).workarounds).toEqual([]);
});

describe("what the operator and earlier tries say", () => {
  test("--without wins over every fact", () => {
    expect(choose({ ...PHANTOM, asked: { with: [], without: ["vulkan"] } }).backends).toEqual([
      "cpu",
    ]);
    expect(choose({ ...SHADOW, asked: { with: [], without: ["cuda"] } }).backends).toEqual(["cpu"]);
  });
  test("a back-end whose build failed its proof is left out, until it is asked for again", () => {
    const rejected = { vulkan: "only 3 of 123 next tokens" };
    expect(choose({ ...PHANTOM, rejected }).backends).toEqual(["cpu"]);
    expect(why({ ...PHANTOM, rejected }, "vulkan")?.because).toContain("only 3 of 123");
    const again = { ...PHANTOM, rejected, asked: { with: ["vulkan"], without: [] } };
    expect(choose(again).backends).toEqual(["cpu", "vulkan"]);
  });
  test("a flag's list", () => {
    expect(wishes(" CUDA, amx,,")).toEqual(["cuda", "amx"]);
    expect(wishes(undefined)).toEqual([]);
    expect(wishes(true)).toEqual([]);
  });
});
