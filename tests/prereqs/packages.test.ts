/** What is missing, too old or broken, and the line that installs it. */
import { describe, expect, test } from "bun:test";
import { FEATURE_IDS } from "../../lib/prereqs/features.ts";
import { unit } from "../../scripts/01_validate_prereqs.ts";
import { debian, installedOn, type DebianOptions } from "../support/debian.ts";
import { fakeMachine, type FakeFile } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { ALL, find, plan, root, without } from "./on_debian.ts";

const keep = keptForEachTest();

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
    const world = keep(fakeMachine(debian({ there: without("git", "ccache"), me: root })));
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
    // each feature, and under those that lack something the line that installs it
    const apt = "apt-get install --yes --no-install-recommends";
    const lines = report.picture?.map((line) => line.trim()) ?? [];
    expect(lines).toHaveLength(FEATURE_IDS.length + 2);
    const after = (id: string) => lines[lines.findIndex((line) => line.startsWith(id)) + 1];
    expect(after("backup")).toBe(`su -c '${apt} restic'`);
    expect(after("rescue")).toBe(`su -c '${apt} xorriso'`);
    const facts = report.facts as { features: Record<string, { install: readonly string[] }> };
    expect(facts.features["backup"]?.install).toEqual([
      "su",
      "-c",
      "apt-get install --yes --no-install-recommends restic",
    ]);
  });

  test("of NVIDIA's packages the line that looks at them is named", async () => {
    const report = await plan({ there: without("nvcc") });
    const lines = report.picture?.map((line) => line.trim()) ?? [];
    expect(lines).toContain("./bin/01_validate_prereqs --feature cuda --plan");
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
