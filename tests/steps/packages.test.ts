/** Installing packages that is interrupted: a fetch is cut short, dpkg never is; and what a kill left half installed can still be taken back. */
import { expect, test } from "bun:test";
import { Interrupted } from "../../lib/errors.ts";
import { unit } from "../../scripts/01_validate_prereqs.ts";
import { debian, DPKG, installedOn } from "../support/debian.ts";
import { fakeMachine, type FakeProgram } from "../support/fake_machine.ts";
import { keptForEachTest } from "../support/kept.ts";
import { runOn } from "../support/run.ts";
import { ALL, root } from "../prereqs/on_debian.ts";

const keep = keptForEachTest();
const there = ALL.filter((id) => id !== "cmake");
const fake = debian({ there, me: root });
const aptGet: FakeProgram = fake.programs?.["apt-get"] ?? (() => ({ code: 127 }));

/** Ctrl-C comes while apt is at its first command of the kind `amid`; tells what apt was then told and what stands in the end. */
async function interrupted(amid: "download" | "install") {
  const stop = new AbortController();
  const calls: string[] = [];
  const isOf = (argv: readonly string[]) =>
    !argv.includes("install") ? "other" : argv.includes("--download-only") ? "download" : "install";
  const slow: FakeProgram = async (argv, world, options, killed) => {
    const kind = isOf(argv);
    if (argv.includes("--simulate")) return {};
    calls.push(argv.includes("purge") ? "purge" : kind);
    if (kind !== amid) return aptGet(argv, world, options, killed);
    stop.abort(new Interrupted("SIGINT"));
    const end = await Promise.race([killed?.then(() => "killed"), Bun.sleep(100)]);
    if (end === undefined) return aptGet(argv, world, options, killed);
    calls.push("killed");
    return { code: 137 };
  };
  const world = keep(fakeMachine({ ...fake, programs: { ...fake.programs, "apt-get": slow } }));
  const before = installedOn(world);
  const report = await runOn(world, unit, { signal: stop.signal });
  expect(report.outcome).toBe("interrupted");
  expect(installedOn(world)).toEqual(before);
  return calls;
}

test("amid the fetching apt is stopped, and nothing is installed any more", async () => {
  expect(await interrupted("download")).toEqual(["download", "killed"]);
});

test("amid the installing it is let finish: a package that dpkg is killed at can't be removed", async () => {
  expect(await interrupted("install")).toEqual(["download", "install", "purge"]);
});

test("a package that a kill left half installed is forced out, and only what is new", async () => {
  const dpkg: (readonly string[])[] = [];
  const world = keep(
    fakeMachine({
      ...fake,
      programs: {
        ...fake.programs,
        "apt-get": (argv, on, options, killed) => {
          const ran = aptGet(argv, on, options, killed);
          const half = argv.includes("install") && !argv.includes("--download-only");
          return half ? { code: 100, stderr: "dpkg was killed" } : ran;
        },
        // dpkg 1.21 on Debian 12, amid an unpacking that was killed
        "dpkg-query": (argv, on) =>
          (argv[3] ?? "").startsWith("${Package}:")
            ? {
                stdout: installedOn(on)
                  .map((name) =>
                    name === "cmake"
                      ? "cmake:all half-installed reinstreq\n"
                      : `${name}:all installed ${name === "git" ? "reinstreq" : "ok"}\n`,
                  )
                  .join(""),
              }
            : (fake.programs?.["dpkg-query"]?.(argv, on, { env: {} }) ?? {}),
        dpkg: (argv) => (dpkg.push(argv), {}),
      },
    }),
  );
  expect((await runOn(world, unit)).outcome).toBe("rolled-back");
  expect(dpkg.map((argv) => argv.slice(1).join(" "))).toEqual([
    "--configure -a",
    "--force-remove-reinstreq --force-depends --purge cmake:all",
  ]);
  expect(installedOn(world)).not.toContain("cmake");
});

test("an undo weeks later removes what the run brought, and nothing that was installed since", async () => {
  const world = keep(fakeMachine(fake));
  const before = installedOn(world);
  expect((await runOn(world, unit)).outcome).toBe("changed");
  expect(installedOn(world)).toContain("cmake");
  world.write(DPKG, JSON.stringify([...installedOn(world), "htop"]));
  expect((await runOn(world, unit, { mode: "undo" })).outcome).toBe("changed");
  expect(installedOn(world)).toEqual([...before, "htop"].sort());
});

test("a memo that can't be believed has nothing removed; one of a release that noted less is understood", async () => {
  const undone = async (change: (memo: string) => string) => {
    const world = keep(fakeMachine(fake));
    const before = installedOn(world);
    await runOn(world, unit);
    const [memo] = new Bun.Glob("**/packages-*.json").scanSync({ cwd: world.root, dot: true });
    if (memo === undefined) throw new Error("there is no memo");
    world.write(`/${memo}`, change(world.read(`/${memo}`)));
    const all = installedOn(world);
    const { outcome } = await runOn(world, unit, { mode: "undo" });
    const now = installedOn(world);
    return { outcome, removed: now.length < before.length, kept: now.length === all.length };
  };
  for (const bad of ["", "{}", "[]", "null", '{"before":[]}', '{"before":"dpkg"}', '{"befo']) {
    expect(await undone(() => bad)).toMatchObject({ removed: false, kept: true });
  }
  const older = (memo: string) => JSON.stringify((JSON.parse(memo) as { before: string[] }).before);
  expect(await undone(older)).toEqual({ outcome: "changed", removed: false, kept: false });
});

test("a run that was cut off amid the installing takes back all that dpkg gained since", async () => {
  const killed = { ...fake.programs, "dpkg-query": fake.programs?.["dpkg-query"] ?? (() => ({})) };
  let looks = 0;
  const world = keep(
    fakeMachine({
      ...fake,
      programs: {
        ...killed,
        // the list after the installing can't be had any more
        "dpkg-query": (argv, on, options, end) =>
          (argv[3] ?? "").startsWith("${Package}:") && ++looks === 2
            ? { code: 2, stderr: "killed" }
            : killed["dpkg-query"](argv, on, options, end),
      },
    }),
  );
  const before = installedOn(world);
  expect((await runOn(world, unit)).outcome).toBe("rolled-back");
  expect(installedOn(world)).toEqual(before);
});

test("what others installed since and needs what the run brought stays, and the undo says why", async () => {
  const said: (readonly string[])[] = [];
  // apt 2.6 on Debian 12
  const simulated = "Purg build-essential [12.9]\nPurg cmake [99.0-1]\n";
  const careful: FakeProgram = (argv, on, options, killed) => {
    said.push(argv);
    return argv.includes("--simulate") ? { stdout: simulated } : aptGet(argv, on, options, killed);
  };
  const world = keep(fakeMachine({ ...fake, programs: { ...fake.programs, "apt-get": careful } }));
  await runOn(world, unit);
  world.write(DPKG, JSON.stringify([...installedOn(world), "build-essential"]));
  const { outcome, left } = await runOn(world, unit, { mode: "undo" });
  expect(outcome).toBe("broken");
  expect(left?.join()).toContain("would go with it: build-essential");
  expect(said.some((argv) => argv.includes("purge") && !argv.includes("--simulate"))).toBe(false);
  expect(installedOn(world)).toContain("cmake");
});
