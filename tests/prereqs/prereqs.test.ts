import { afterEach, describe, expect, test } from "bun:test";
import type { Finding, RunReport } from "../../lib/unit.ts";
import { FEATURES, FEATURE_IDS } from "../../lib/prereqs/features.ts";
import { unit } from "../../scripts/01_validate_prereqs.ts";
import { debian, installedOn, type DebianOptions } from "../support/debian.ts";
import { fakeMachine, type FakeFile, type FakeWorld } from "../support/fake_machine.ts";
import { runOn } from "../support/run.ts";

const ALL = FEATURES.flatMap(({ tools }) => tools.map(({ id }) => id));
const without = (...ids: readonly string[]) => ALL.filter((id) => !ids.includes(id));

const worlds: FakeWorld[] = [];
afterEach(() => worlds.splice(0).forEach((world) => world.dispose()));

function on(options: DebianOptions): FakeWorld {
  const world = fakeMachine(debian(options));
  worlds.push(world);
  return world;
}
const plan = (options: DebianOptions, feature?: string): Promise<RunReport> =>
  runOn(on(options), unit, { want: feature === undefined ? {} : { feature }, mode: "plan" });
const find = (report: RunReport, id: string): Finding | undefined =>
  [...report.findings, ...report.unasked].find((one) => one.id === id);
const root = { root: true } as const;

describe("what is missing, and the line that installs it", () => {
  test("root gets one step with exactly the packages of the asked features", async () => {
    const report = await plan({ there: without("g++", "ninja", "pip", "rsync"), me: root });
    expect(report.outcome).toBe("planned");
    expect(report.steps.map(({ text }) => text)).toEqual([
      "install g++ ninja-build python3-pip (needed by build, models)",
    ]);
    expect(find(report, "packages-missing")?.fix).toEqual(["./bin/01_validate_prereqs", "--yes"]);
    const mirror = await plan({ there: without("rsync"), me: root }, "mirror");
    expect(mirror.steps.map(({ text }) => text)).toEqual(["install rsync (needed by mirror)"]);
    expect(find(mirror, "packages-missing")?.fix).toEqual([
      "./bin/01_validate_prereqs",
      "--feature",
      "mirror",
      "--yes",
    ]);
  });

  test("a user gets the one line: with sudo, without it, and with lists to fetch first", async () => {
    const there = without("cmake");
    const install = "apt-get install --yes --no-install-recommends cmake";
    const sudo = { sudo: () => ({}) };
    const lines = [
      [await plan({ there, programs: sudo }), ["sudo", ...install.split(" ")]],
      [await plan({ there }), ["su", "-c", install]],
      [
        await plan({ there, programs: sudo, lists: false }),
        ["sudo", "sh", "-c", `apt-get update && ${install}`],
      ],
    ] as const;
    for (const [report, fix] of lines) {
      expect(report.outcome).toBe("blocked");
      expect(report.steps).toEqual([]);
      expect(find(report, "packages-missing")).toMatchObject({ level: "fail", fix });
    }
  });

  test("installing asks first, happens, is taken back, and leaves what was there", async () => {
    const world = on({ there: without("git", "ccache"), me: root });
    const asked = await runOn(world, unit, { want: { feature: "build" } });
    expect([asked.outcome, asked.error?.id]).toEqual(["blocked", "not-confirmed"]);
    expect(asked.error?.fix).toEqual(["./bin/01_validate_prereqs", "--feature", "build", "--yes"]);
    const before = installedOn(world);
    expect(before).not.toContain("git");
    const report = await runOn(world, unit, { want: { yes: true } });
    expect(report.outcome).toBe("changed");
    expect(installedOn(world)).toEqual([...before, "git"].sort());
    expect((await runOn(world, unit, { want: { yes: true }, mode: "undo" })).outcome).toBe(
      "changed",
    );
    expect(installedOn(world)).toEqual(before);
  });

  test("an optional tool blocks nothing, and is offered", async () => {
    const report = await plan({ there: without("ccache"), me: root });
    expect(report.outcome).toBe("converged");
    expect(find(report, "wished:ccache")).toMatchObject({
      level: "info",
      fix: ["apt-get", "install", "--yes", "--no-install-recommends", "ccache"],
    });
  });

  test("what was not asked for is an outlook, never a failure", async () => {
    const report = await plan({ there: without("restic", "xorriso") });
    expect(report.outcome).toBe("converged");
    expect(report.picture?.find((line) => line.includes("backup"))).toContain("restic");
    expect(report.picture).toHaveLength(FEATURE_IDS.length);
    const facts = report.facts as { features: Record<string, { install: readonly string[] }> };
    expect(facts.features["backup"]?.install).toEqual([
      "su",
      "-c",
      "apt-get install --yes --no-install-recommends restic",
    ]);
  });

  test("a package that no source offers is named, not tried", async () => {
    const kali = 'PRETTY_NAME="Kali GNU/Linux Rolling"\nID=kali\nID_LIKE=debian\n';
    const report = await plan(
      { there: without("netdata"), notOffered: ["netdata"], me: root, os: kali },
      "monitor",
    );
    expect(report.outcome).toBe("blocked");
    expect(report.steps).toEqual([]);
    expect(find(report, "packages-not-offered")?.what).toContain("netdata");
    const nvidia = await plan(
      { there: without("nvcc"), notOffered: ["nvidia-cuda-toolkit"], me: root },
      "cuda",
    );
    expect(find(nvidia, "packages-not-offered")?.why).toContain("non-free");
  });

  test("a distribution without apt is told what to look for", async () => {
    const report = await plan({
      there: without("cmake"),
      me: root,
      os: "ID=fedora\nNAME=Fedora\n",
    });
    expect(report.outcome).toBe("blocked");
    expect(find(report, "packages-missing")?.why).toContain("Debian calls cmake");
  });

  test("too old, broken and hollow tools are told apart from missing ones", async () => {
    const old = await plan({
      there: ALL,
      versions: { cmake: "3.13.4" },
      offers: { cmake: "3.13.4-1" },
      me: root,
    });
    expect(old.outcome).toBe("blocked");
    expect(find(old, "too-old:cmake")).toMatchObject({ fix: ["apt-cache", "policy", "cmake"] });
    const newer = await plan({ there: ALL, versions: { cmake: "3.13.4" }, me: root });
    expect(find(newer, "too-old:cmake")?.fix).toContain("install");
    const broken = await plan({
      there: ALL,
      programs: { git: () => ({ code: 127, stderr: "libz.so.1: cannot open" }) },
      me: root,
    });
    expect(find(broken, "broken:git")?.fix).toContain("--reinstall");
    const hollow = await plan({
      there: ALL,
      files: { "/usr/bin/git": { text: "", mode: 0o644 } },
      me: root,
    });
    expect(find(hollow, "hollow:git")?.fix).toContain("--reinstall");
    expect(hollow.steps).toEqual([]);
  });

  test("a feature that does not exist is a clear error", async () => {
    const report = await plan({ there: ALL }, "build,cudda");
    expect(report.outcome).toBe("blocked");
    expect(find(report, "no-feature:cudda")?.why).toContain("vulkan");
  });
});

describe("pip is found by any of its names", () => {
  const pip = (files: Record<string, FakeFile>, programs: DebianOptions["programs"]) =>
    plan({ there: without("pip"), files, ...(programs ? { programs } : {}) });

  test("as a module, as pip3, as pip; and where it does not answer, it is missing", async () => {
    const text = { stdout: "pip 23.0.1 from /x (python 3.11)\n" };
    const asModule = await pip(
      {},
      { python3: (argv) => (argv[2] === "pip" ? text : { stdout: "Python 3.11.2\n" }) },
    );
    expect(find(asModule, "feature:models")?.evidence).toContain("pip 23.0.1");
    const asPip = await pip({}, { pip: () => text });
    expect(find(asPip, "feature:models")?.evidence).toContain("pip 23.0.1");
    expect(find(await pip({}, undefined), "packages-missing")?.what).toContain("pip");
  });
});

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

test("the table is sound: names are unique where they must be, and every package could be given to apt", () => {
  for (const { id, tools } of FEATURES) {
    expect([id, new Set(tools.map((tool) => tool.id)).size]).toEqual([id, tools.length]);
    for (const tool of tools) {
      for (const name of tool.packages) expect(name).toMatch(/^[a-z0-9][a-z0-9+.-]+$/);
      expect(tool.packages.length).toBeGreaterThan(0);
      const same = FEATURES.flatMap((feature) => feature.tools).filter(
        (other) => other.id === tool.id,
      );
      for (const other of same) expect(other.sign).toEqual(tool.sign);
    }
  }
});
