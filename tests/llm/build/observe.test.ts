/** What is read of a host's graphics and tools, on worlds that answer as the real ones do. */
import { describe, expect, test } from "bun:test";
import { observeBuild } from "../../../lib/llm/build/observe.ts";
import { recipeOf } from "../../../lib/llm/build/recipe.ts";
import { createProbe } from "../../../lib/machine/probe.ts";
import type { Args } from "../../../lib/unit.ts";
import { fakeEngineHost, TINY_PINS } from "../../support/fake_engine.ts";
import {
  FAKE_HOME,
  fakeMachine,
  type FakeFile,
  type FakeProgram,
} from "../../support/fake_machine.ts";
import { keptForEachTest } from "../../support/kept.ts";

const keep = keptForEachTest();

function observe(
  files: Readonly<Record<string, FakeFile>>,
  programs: Readonly<Record<string, FakeProgram>> = {},
  want: Args = {},
) {
  const base = fakeEngineHost();
  const world = fakeMachine({
    ...base,
    files: { ...base.files, ...files },
    programs: { ...base.programs, ...programs },
  });
  keep(world);
  return observeBuild(createProbe(world.machine, FAKE_HOME, "testhost"), want, TINY_PINS);
}

const pci = (address: string, kind: string, vendor: string, device: string) => ({
  [`/sys/bus/pci/devices/${address}/class`]: `${kind}\n`,
  [`/sys/bus/pci/devices/${address}/vendor`]: `${vendor}\n`,
  [`/sys/bus/pci/devices/${address}/device`]: `${device}\n`,
});
const CARDS = {
  ...pci("0000:00:02.0", "0x030000", "0x8086", "0x591b"),
  ...pci("0000:01:00.0", "0x030200", "0x10de", "0x1c8c"),
  ...pci("0000:02:00.0", "0x028000", "0x168c", "0x003e"), // a network card
};

describe("graphics", () => {
  test("display controllers alone, with what the driver says of NVIDIA's", async () => {
    const facts = await observe(CARDS, {
      "nvidia-smi": () => ({
        stdout:
          "name, pci.bus_id, driver_version, compute_cap\nNVIDIA GeForce GTX 1050 Ti, 00000000:01:00.0, 535.183.01, 6.1\n",
      }),
      nvcc: () => ({ stdout: "Cuda compilation tools, release 11.8, V11.8.89\n" }),
      "g++-11": () => ({}),
    });
    expect(facts.graphics).toEqual([
      { address: "0000:00:02.0", id: "8086:591b", vendor: "intel", computeCapability: undefined },
      { address: "0000:01:00.0", id: "10de:1c8c", vendor: "nvidia", computeCapability: "6.1" },
    ]);
    expect(facts.cuda).toEqual({
      driver: "535.183.01",
      nvcc: { path: "/usr/bin/nvcc", version: "11.8" },
    });
    expect(recipeOf(facts)?.flags).toContain("CMAKE_CUDA_HOST_COMPILER=/usr/bin/g++-11");
  });
  test("a driver that does not know compute_cap is asked again, and the card's id tells", async () => {
    const facts = await observe(CARDS, {
      "nvidia-smi": (argv) =>
        argv.join().includes("compute_cap")
          ? { code: 2, stdout: 'Field "compute_cap" is not a valid field to query.\n' }
          : {
              stdout:
                "name, pci.bus_id, driver_version\nGeForce GTX 1050 Ti, 00000000:01:00.0, 470.256.02\n",
            },
    });
    expect(facts.cuda.driver).toBe("470.256.02");
    expect(facts.graphics[1]?.computeCapability).toBe("6.1");
  });
  test("without its driver the card is known, and the driver is not", async () => {
    const facts = await observe(CARDS, { "nvidia-smi": () => ({ code: 9, stdout: "failed" }) });
    expect(facts.cuda.driver).toBeUndefined();
    expect(facts.graphics[1]?.computeCapability).toBe("6.1");
  });
});

describe("glslc", () => {
  const vulkan = async (shader: FakeProgram) => (await observe({}, { glslc: shader })).vulkan.glslc;
  test("is asked to compile a shader, not for its version", async () => {
    // Debian 12's glslc, its own words
    const version = "shaderc 2023.2-1\nspirv-tools 2022.4+1.3.236.0-1\nglslang 11.13.0-1\n";
    const old: FakeProgram = (argv) =>
      argv.includes("--version")
        ? { stdout: version }
        : {
            code: 1,
            stderr:
              "<stdin>:2: error: '#extension' : extension not supported: GL_KHR_cooperative_matrix",
          };
    expect(await vulkan(old)).toEqual({
      path: "/usr/bin/glslc",
      version: "2023.2",
      coopmat: false,
    });
    expect(await vulkan(() => ({ stdout: version }))).toMatchObject({ coopmat: true });
  });
});

describe("the rest", () => {
  test("a software Vulkan driver alone is known as such", async () => {
    const folder = "/usr/share/vulkan/icd.d";
    const one = await observe({ [`${folder}/lvp_icd.x86_64.json`]: "{}" });
    expect(one.vulkan.softwareOnly).toBe(true);
    const two = await observe({
      [`${folder}/lvp_icd.json`]: "{}",
      [`${folder}/intel_icd.json`]: "{}",
    });
    expect(two.vulkan.softwareOnly).toBe(false);
  });
  test("wishes come from the command line", async () => {
    const facts = await observe({}, {}, { with: "vulkan", without: "amx" });
    expect(facts.asked).toEqual({ with: ["vulkan"], without: ["amx"] });
  });
  test("processors that we may not use do not count", async () => {
    const facts = await observe({ "/proc/self/status": "Cpus_allowed_list:\t0-2\n" });
    expect(facts.cpu.allowed).toBe(3);
  });
  test("a compiler that says nothing sensible is none", async () => {
    const facts = await observe({}, { "g++": () => ({ stdout: "?" }) });
    expect(facts.toolchain.compiler).toBeUndefined();
  });
});
