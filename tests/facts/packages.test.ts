/** What dpkg and apt say, and how versions compare. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import {
  driverServes,
  hostCompilerLimit,
  newestHostCompiler,
  oldestDriver,
  parseNvcc,
  toolkitServes,
} from "../../lib/facts/cuda.ts";
import { parseInstalled, parsePolicy } from "../../lib/facts/packages.ts";
import { compareVersions, upstreamOf, versionIn } from "../../lib/facts/versions.ts";

const recorded = (name: string) =>
  readFileSync(join(import.meta.dirname, "../fixtures/packages", name), "utf8");

describe("what dpkg and apt say", () => {
  test("installed, offered, not offered and unknown packages are told apart", () => {
    const policy = parsePolicy(recorded("bookworm.policy"));
    expect(policy.get("git")).toEqual({
      installed: "1:2.39.5-0+deb12u3",
      candidate: "1:2.39.5-0+deb12u3",
    });
    expect(policy.get("g++")?.candidate).toBe("4:12.2.0-3");
    expect(policy.get("glslc")).toEqual({ candidate: "2023.2-1" });
    expect(policy.get("nvidia-driver")).toEqual({});
    expect(policy.has("nosuchpackage")).toBe(false);
    const trixie = parsePolicy(recorded("trixie.policy"));
    expect(trixie.get("nvidia-driver")).toEqual({ candidate: "550.163.01-2" });
    expect(trixie.get("cmake")).toEqual({ installed: "3.25.1-1", candidate: "3.31.6-2" });
  });

  test("only what is installed whole counts as installed", () => {
    const text = `${recorded("bookworm.dpkg")}half\t1.0\thalf-installed\nrest\t2.0\tconfig-files\nnever\t\tnot-installed\n`;
    const found = parseInstalled(text);
    expect(found.get("cmake")).toBe("3.25.1-1");
    expect(found.get("g++")).toBe("4:12.2.0-3");
    expect(found.size).toBe(8);
  });
});

describe("versions", () => {
  test("of programs, as they print them", () => {
    const said: readonly (readonly [string, string])[] = [
      [
        "g++ (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n",
        "12.2.0",
      ],
      ["git version 2.39.5\n", "2.39.5"],
      [
        "cmake version 3.25.1\n\nCMake suite maintained and supported by Kitware (kitware.com/cmake).\n",
        "3.25.1",
      ],
      ["1.11.1\n", "1.11.1"],
      ["GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu\n", "4.3"],
      ["pip 23.0.1 from /usr/lib/python3/dist-packages/pip (python 3.11)\n", "23.0.1"],
      ["Python 3.11.2\n", "3.11.2"],
      ["shaderc 2023.2-1\nspirv-tools 2022.4+1.3.236.0-1\nglslang 11.13.0-1\n", "2023.2"],
      ["OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.20", "9.2"],
      ["ccache version 4.7.5\n", "4.7.5"],
      ["systemd 252 (252.39-1~deb12u2)\n", "252.39"],
      ["fine", ""],
    ];
    for (const [text, version] of said)
      expect([text, versionIn(text) ?? ""]).toEqual([text, version]);
  });

  test("of packages, without epoch and packager's part", () => {
    expect(upstreamOf("4:12.2.0-3")).toBe("12.2.0");
    expect(upstreamOf("11.8.89~11.8.0-5~deb12u1")).toBe("11.8.89");
    expect(upstreamOf("4.8+really4.7.5-1")).toBe("4.8");
    expect(upstreamOf("550.163.01-2")).toBe("550.163.01");
  });

  test("are compared by number, and any text at all is an order", () => {
    expect(compareVersions("3.9", "3.14")).toBe(-1);
    expect(compareVersions("9", "9.0.0")).toBe(0);
    expect(compareVersions("12.2.0", "9")).toBe(1);
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(compareVersions(a, b)).toBe((0 - compareVersions(b, a)) as -1 | 0 | 1);
        versionIn(a);
        parsePolicy(a);
        parseInstalled(b);
      }),
    );
  });
});

describe("CUDA", () => {
  test("nvcc's release and its header's limit", () => {
    const nvcc = `nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2022 NVIDIA Corporation
Built on Wed_Sep_21_10:33:58_PDT_2022
Cuda compilation tools, release 11.8, V11.8.89
Build cuda_11.8.r11.8/compiler.31833905_0
`;
    expect(parseNvcc(nvcc)).toBe("11.8.89");
    expect(parseNvcc("Cuda compilation tools, release 13.0, V13.0.88\n")).toBe("13.0.88");
    expect(parseNvcc("bash: nvcc: command not found")).toBeUndefined();
    const header =
      "#if defined(__GNUC__)\n\n#if __GNUC__ > 11\n\n#error -- unsupported GNU version! gcc versions later than 11 are not supported!\n";
    expect(hostCompilerLimit(header)).toBe(11);
    expect(hostCompilerLimit("#error")).toBeUndefined();
  });

  test("which toolkit, driver and compiler go together", () => {
    expect(newestHostCompiler("11.8.89")).toBe(11);
    expect(newestHostCompiler("12.4.131")).toBe(13);
    expect(newestHostCompiler("12.9")).toBe(14);
    expect(newestHostCompiler("13.2")).toBe(15);
    expect(newestHostCompiler("9.2")).toBeUndefined();
    expect(toolkitServes("12.9.1", "6.1")).toBe(true);
    expect(toolkitServes("13.0.88", "6.1")).toBe(false);
    expect(toolkitServes("13.0.88", "7.5")).toBe(true);
    expect(toolkitServes("12.0", "3.5")).toBe(false);
    expect(driverServes(580, "6.1")).toBe(true);
    expect(driverServes(590, "6.1")).toBe(false);
    expect(driverServes(595, "7.0")).toBe(false);
    expect(driverServes(595, "8.6")).toBe(true);
    expect(oldestDriver("12.4")).toBe(525);
  });
});
