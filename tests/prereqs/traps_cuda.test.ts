/** The traps of CUDA: cards that a driver or a toolkit dropped, compilers that a toolkit refuses. */
import { describe, expect, test } from "bun:test";
import type { DebianOptions } from "../support/debian.ts";
import type { FakeFile } from "../support/fake_machine.ts";
import { ALL, find, plan, root, without } from "./on_debian.ts";

/** shadow: an Acer with a GTX 1050 Ti Mobile. */
const CARD: Record<string, FakeFile> = {
  "/sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
  "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
  "/sys/bus/pci/devices/0000:01:00.0/device": "0x1c8c\n",
};
const driver = (version: string) => ({ "/sys/module/nvidia/version": `${version}\n` });
const nvcc = (release: string): DebianOptions["programs"] => ({
  nvcc: () => ({
    stdout: `nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release ${release.split(".").slice(0, 2).join(".")}, V${release}\n`,
  }),
  "g++": (argv) => ({
    stdout: argv.includes("-dumpversion") ? "12\n" : "g++ (Debian 12.2.0-14) 12.2.0\n",
  }),
});
const shadow = (more: Partial<DebianOptions> = {}, feature: string | undefined = "cuda") =>
  plan(
    {
      there: ALL,
      offers: {
        "nvidia-driver": "535.261.03-1",
        "nvidia-cuda-toolkit": "11.8.89~11.8.0-5~deb12u1",
      },
      me: root,
      ...more,
      files: { ...CARD, ...driver("535.261.03"), ...more.files },
    },
    feature,
  );

describe("the traps of a Pascal card", () => {
  test("CUDA 11.8 with driver 535 and g++-11 is right", async () => {
    const report = await shadow({
      programs: { ...nvcc("11.8.89"), "g++-11": () => ({ stdout: "11\n" }) },
    });
    expect(report.outcome).toBe("converged");
    expect(find(report, "host-compiler")).toMatchObject({ level: "ok" });
  });

  test("CUDA 11.8 with g++ 12 alone fails in the middle of the build: said before it, with the compiler to install", async () => {
    const report = await shadow({ programs: nvcc("11.8.89") ?? {} });
    expect(report.outcome).toBe("blocked");
    expect(find(report, "host-compiler")?.fix?.at(-1)).toBe("g++-11");
    const header = { "/usr/include/crt/host_config.h": "#if __GNUC__ > 12\n#error\n" };
    const patched = await shadow({ programs: nvcc("11.8.89") ?? {}, files: header });
    expect(find(patched, "host-compiler")).toBeUndefined();
  });

  test("CUDA 13 and driver 595 no longer have the card", async () => {
    const toolkit = await shadow({ programs: nvcc("13.0.88") ?? {} });
    expect(find(toolkit, "cuda-drops-card")).toMatchObject({ level: "fail" });
    expect(find(toolkit, "cuda-drops-card")?.what).toContain("6.1, Pascal");
    const module = await shadow({ programs: nvcc("12.4.131") ?? {}, files: driver("595.71.05") });
    expect(find(module, "driver-drops-card")).toMatchObject({ level: "fail" });
    const quiet = await shadow({ programs: nvcc("13.0.88") ?? {} }, "build");
    expect([quiet.outcome, find(quiet, "cuda-drops-card")?.level]).toEqual(["converged", "warn"]);
    const newer = await shadow({
      programs: nvcc("13.0.88") ?? {},
      files: { "/sys/bus/pci/devices/0000:01:00.0/device": "0x2504\n" },
    });
    expect(find(newer, "capability-unknown:10de:2504")).toMatchObject({ level: "unknown" });
  });

  test("a driver too old for the toolkit is said", async () => {
    const report = await shadow({ programs: nvcc("12.4.131") ?? {}, files: driver("470.256.02") });
    expect(find(report, "driver-too-old")).toMatchObject({ level: "fail" });
  });

  test("what apt would bring is refused where it would take the card away, and never installed", async () => {
    const offers = { "nvidia-driver": "590.44.01-1", "nvidia-cuda-toolkit": "13.0.88-1" };
    const bare = { ...CARD };
    const report = await plan(
      { there: without("nvcc", "nvidia-smi"), offers, me: root, files: bare },
      "cuda",
    );
    expect(report.outcome).toBe("blocked");
    expect(find(report, "offered-driver-drops-card")).toMatchObject({ level: "fail" });
    expect(find(report, "offered-cuda-drops-card")).toMatchObject({ level: "fail" });
    expect(report.steps).toEqual([]);
    const running = await shadow({ programs: nvcc("11.8.89") ?? {}, offers }, "build");
    expect(find(running, "offered-driver-drops-card")?.fix).toEqual([
      "sudo",
      "apt-mark",
      "hold",
      "nvidia-driver",
    ]);
    const held = await shadow(
      {
        programs: { ...nvcc("11.8.89"), "apt-mark": () => ({ stdout: "nvidia-driver\n" }) },
        offers,
      },
      "build",
    );
    expect(find(held, "offered-driver-drops-card")).toBeUndefined();
  });

  test("nobody asked: the driver is not held, the card is idle, the lists are old", async () => {
    const free = await shadow({ programs: nvcc("11.8.89") ?? {} }, "build");
    expect(find(free, "hold-driver")?.fix).toContain("hold");
    expect(find(free, "card-idle")).toBeDefined();
    const held = await shadow(
      { programs: { ...nvcc("11.8.89"), "apt-mark": () => ({ stdout: "nvidia-driver\n" }) } },
      "build,cuda",
    );
    expect(find(held, "hold-driver")).toBeUndefined();
    expect(find(held, "card-idle")).toBeUndefined();
    expect(find(free, "old-lists")).toBeUndefined();
    const later = await plan({ there: ALL, now: () => Date.now() + 40 * 86_400_000 });
    expect(find(later, "old-lists")).toBeDefined();
  });
});
