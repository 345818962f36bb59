/** A bare, booted bookworm with nothing but the binaries copied in: each script as a user and as root, twice, cut off, and taken back. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, linkSync, lstatSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { difference, listing } from "../support/listing.ts";
import { documentOf, faultsOf, journalOf } from "../support/program.ts";
import { bootHost, type LabHost, type Said } from "./host.ts";

const BIN = process.env["SHELTER_TEST_BIN"] ?? resolve(import.meta.dir, "../../bin");
const NAMES = [
  "shelter",
  "00_check_structure",
  "01_host_inventory",
  "01_validate_prereqs",
  "02_scaffold_dirs",
];
/** All of the host that a script could have touched; what systemd itself keeps writing is in none of it. */
const WATCHED = [
  "etc",
  "home",
  "root",
  "opt",
  "srv",
  "usr",
  "var/lib/dpkg",
  "var/lib/apt",
  "var/cache",
  "var/spool",
];

let host: LabHost;
beforeAll(async () => {
  host = await bootHost({ name: "shadow", release: "bookworm", user: "rc" });
  const [first = "", ...others] = NAMES;
  host.copyIn(join(BIN, first), join("usr/local/bin", first));
  for (const name of others) {
    linkSync(join(host.root, "usr/local/bin", first), join(host.root, "usr/local/bin", name));
  }
}, 1_200_000);
afterAll(async () => {
  await host?.stop();
}, 120_000);

const watched = () => listing(host.root, WATCHED, ["usr"]);

describe.each([
  ["rc", "home/rc"],
  ["root", "root"],
])("as %s", (as, place) => {
  const home = () => join(host.root, place, ".mountain_shelter");
  const run = (...argv: readonly string[]): Promise<Said> => host.run(argv, { as });
  /** Runs with --json and returns the document, with the exit code that it must have. */
  const report = async (code: number, ...argv: readonly string[]) => {
    const said = await run(...argv, "--json");
    expect({
      argv,
      code: said.code,
      stderr: said.stderr,
      stdout: said.code === code ? "" : said.stdout,
    }).toMatchObject({ argv, code });
    return documentOf(said);
  };
  let before: readonly string[] = [];

  test("looking changes nothing on the host", async () => {
    before = watched();
    for (const name of NAMES.slice(1)) {
      for (const flag of ["--plan", "--verify"]) {
        const { code, stderr } = await run(name, flag, "--json");
        expect({ name, flag, clear: [0, 10, 11].includes(code), stderr }).toMatchObject({
          name,
          flag,
          clear: true,
        });
      }
    }
    expect((await run("shelter", "status")).code).toBe(0);
    for (const name of NAMES) {
      expect((await run(name, "--version")).stdout).toContain(name);
      expect((await run(name, "--help")).code).toBe(0);
    }
    expect(difference(before, watched())).toEqual([]);
  });

  test("02_scaffold_dirs makes the home, its owner's alone", async () => {
    expect(await report(0, "02_scaffold_dirs")).toMatchObject({
      schema: 1,
      outcome: "changed",
      host: "shadow",
    });
    const uid = as === "root" ? 0 : 1000;
    for (const name of readdirSync(home(), { recursive: true, encoding: "utf8" })) {
      const stats = lstatSync(join(home(), name));
      expect([name, stats.mode & 0o077, stats.uid, stats.gid]).toEqual([name, 0, uid, uid]);
    }
    expect(lstatSync(home()).mode & 0o7777).toBe(0o700);
    expect(lstatSync(join(home(), "shared.cfg")).mode & 0o7777).toBe(0o600);
    // and nothing else on the host
    const others = difference(before, watched()).filter(
      (line) => !line.includes(`${place}/.mountain_shelter`),
    );
    expect(others).toEqual([]);
  });

  test("00_check_structure finds it whole", async () => {
    expect(["changed", "converged"]).toContain((await report(0, "00_check_structure")).outcome);
    expect(
      (await report(0, "00_check_structure", "--verify")).findings.filter(
        (one) => one.level === "fail",
      ),
    ).toEqual([]);
  });

  test("00_check_structure repairs what was loosened, and takes that back", async () => {
    await host.run(["chmod", "0666", `/${place}/.mountain_shelter/shared.cfg`]);
    await report(10, "00_check_structure", "--verify");
    expect((await report(0, "00_check_structure")).outcome).toBe("changed");
    expect(lstatSync(join(home(), "shared.cfg")).mode & 0o7777).toBe(0o600);
    expect((await run("00_check_structure", "--undo")).code).toBe(0);
    expect(lstatSync(join(home(), "shared.cfg")).mode & 0o7777).toBe(0o666);
    expect((await run("00_check_structure")).code).toBe(0);
  });

  test("01_host_inventory tells what this host is, and says unknown where it can't see", async () => {
    const { facts, findings, host: named } = await report(0, "01_host_inventory");
    expect(named).toBe("shadow");
    expect(facts).toMatchObject({
      root: as === "root",
      stable: {
        os: { id: "debian", version: "12", arch: "x86_64" },
        machine: { virtual: expect.stringContaining("systemd-nspawn") },
        // a container shows no firmware: nothing may be made up of that
        firmware: { tpm: { unknown: expect.any(String) } },
      },
    });
    expect(findings.filter((one) => one.level === "fail")).toEqual([]);
    const human = await run("01_host_inventory", "--verify");
    expect(human.code).toBe(0);
    expect(human.stdout).toContain("What didn't I ask you?");
  });

  test("01_validate_prereqs names what a bare machine lacks, with the line that installs it", async () => {
    const said = await run("01_validate_prereqs", "--json");
    expect([0, 11]).toContain(said.code);
    const { findings, outcome } = documentOf(said);
    expect(["converged", "changed", "blocked"]).toContain(outcome);
    const text = JSON.stringify(findings);
    expect(text).toContain("cmake");
    expect(text).toMatch(/"apt-get"|apt-get install|"apt"/);
  });

  test("status shows all twenty-one", async () => {
    const { code, stdout } = await run("shelter", "status", "--json");
    expect(code).toBe(0);
    const text = JSON.stringify(JSON.parse(stdout));
    expect(new Set(text.match(/"0\d_[a-z_]+"/g)).size).toBeGreaterThanOrEqual(21);
    const human = (await run("shelter", "status")).stdout;
    expect(human).toContain("02_scaffold_dirs");
    expect(human).toContain("not part of this build");
  });

  test("again: everything holds, nothing is written but what is news", async () => {
    const settled = watched();
    for (const name of ["02_scaffold_dirs", "00_check_structure", "01_host_inventory"]) {
      expect([name, (await report(0, name)).outcome]).toEqual([name, "converged"]);
    }
    const news = difference(settled, watched()).filter(
      (line) => !/\.mountain_shelter\/(logs|status|history_main)/.test(line),
    );
    expect(news).toEqual([]);
    expect(faultsOf(journalOf(home()).lines)).toEqual([]);
  });

  test("undo --all --forget leaves the host as it was found", async () => {
    const { code, stdout, stderr } = await run("shelter", "undo", "--all", "--forget", "--yes");
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(difference(before, watched())).toEqual([]);
  });

  test("killed -9 amid a run, again and again: the next run is whole, and all of it can be taken back", async () => {
    let killed = 0;
    for (const ms of [5, 10, 20, 30, 40, 55, 70, 85, 100, 130, 160, 200]) {
      const said = await run("timeout", "--signal=KILL", String(ms / 1000), "02_scaffold_dirs");
      if (said.code === 137) killed += 1;
      if (ms % 2 === 0) continue; // sometimes a killed run is followed by another one that is killed
      expect([ms, (await run("02_scaffold_dirs")).code]).toEqual([ms, 0]);
      expect([ms, faultsOf(journalOf(home()).lines)]).toEqual([ms, []]);
      const verified = await run("00_check_structure", "--verify");
      expect([ms, [0, 10].includes(verified.code)]).toEqual([ms, true]);
      expect([ms, (await run("02_scaffold_dirs", "--undo")).code]).toEqual([ms, 0]);
      expect(existsSync(join(home(), "shared.cfg"))).toBe(false);
    }
    expect(killed).toBeGreaterThan(2);
    expect((await run("02_scaffold_dirs")).code).toBe(0);
    expect(faultsOf(journalOf(home()).lines)).toEqual([]);
    const { code, stdout, stderr } = await run("shelter", "undo", "--all", "--forget", "--yes");
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    const after = difference(before, watched());
    rmSync(home(), { recursive: true, force: true });
    expect(after).toEqual([]);
  });
});

test("under sudo the home stays the caller's", async () => {
  // what sudo sets, without sudo: a bare host has none
  const env = { SUDO_UID: "1000", SUDO_GID: "1000", SUDO_USER: "rc", HOME: "/root" };
  const said = await host.run(["02_scaffold_dirs"], { env });
  expect({ code: said.code, stderr: said.stderr }).toMatchObject({ code: 0 });
  expect(existsSync(join(host.root, "root/.mountain_shelter"))).toBe(false);
  const home = join(host.root, "home/rc/.mountain_shelter");
  for (const name of ["", ...readdirSync(home, { recursive: true, encoding: "utf8" })]) {
    expect([name, lstatSync(join(home, name)).uid]).toEqual([name, 1000]);
  }
  // so its owner can go on with it
  expect((await host.run(["02_scaffold_dirs", "--undo"], { as: "rc" })).code).toBe(0);
});
