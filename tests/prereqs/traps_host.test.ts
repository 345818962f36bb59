/** The traps of a host: a glslc that is too old, a weak processor, little memory, a Python that is managed from outside. */
import { describe, expect, test } from "bun:test";
import type { DebianOptions } from "../support/debian.ts";
import { ALL, find, plan, root, without } from "./on_debian.ts";

describe("the traps of a host", () => {
  const glslc = (works: boolean): DebianOptions["programs"] => ({
    glslc: (argv, _world, options) => {
      if (argv.includes("--version"))
        return { stdout: `shaderc ${works ? "2025.2-1" : "2023.2-1"}\n` };
      expect(options.input).toContain("GL_KHR_cooperative_matrix");
      // said by shaderc 2023.2-1 of Debian 12; 2025.2-1 of trixie compiles it silently
      return works
        ? {}
        : {
            code: 1,
            stderr:
              "<stdin>:2: error: '#extension' : extension not supported: GL_KHR_cooperative_matrix\n1 error generated.\n",
          };
    },
  });

  test("a glslc that lacks cooperative matrices is found by giving it such a shader", async () => {
    const old = await plan({ there: ALL, programs: glslc(false) ?? {} }, "vulkan");
    expect(old.outcome).toBe("blocked");
    expect(find(old, "glslc-too-old")?.evidence).toContain("extension not supported");
    expect(
      find(await plan({ there: ALL, programs: glslc(false) ?? {} }), "glslc-too-old")?.level,
    ).toBe("info");
    expect((await plan({ there: ALL, programs: glslc(true) ?? {} }, "vulkan")).outcome).toBe(
      "converged",
    );
  });

  test("an offered glslc that is known to lack them is not installed for nothing", async () => {
    const there = without("glslc");
    expect(
      find(
        await plan({ there, offers: { glslc: "2023.2-1" }, me: root }, "vulkan"),
        "offered-glslc-too-old",
      ),
    ).toMatchObject({ level: "fail" });
    expect((await plan({ there, offers: { glslc: "2025.2-1" }, me: root }, "vulkan")).outcome).toBe(
      "planned",
    );
  });

  test("no AVX2, little memory and a PEP 668 pip are said, and none is guessed", async () => {
    const weak = {
      "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Pentium\nflags\t\t: fpu sse4_2\n",
      "/proc/meminfo":
        "MemTotal:        1000000 kB\nMemFree: 500000 kB\nMemAvailable:   500000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
      "/usr/lib/python3.11/EXTERNALLY-MANAGED": "[externally-managed]\n",
    };
    const report = await plan({ there: ALL, files: weak }, "build,agents");
    expect(find(report, "no-avx2")).toMatchObject({ level: "warn" });
    expect(find(report, "memory:build")).toMatchObject({ level: "warn" });
    expect(find(report, "memory:agents")).toBeDefined();
    expect(find(report, "pip-managed-outside")).toMatchObject({ level: "info" });
    const blind = await plan({ there: ALL, files: { "/proc/cpuinfo": "", "/proc/meminfo": "" } });
    expect(find(blind, "no-avx2")).toMatchObject({ level: "unknown" });
    expect(find(blind, "memory")).toMatchObject({ level: "unknown" });
    const strong = await plan({ there: ALL });
    for (const id of ["no-avx2", "memory", "memory:build", "pip-managed-outside"])
      expect(find(strong, id)).toBeUndefined();
  });
});
