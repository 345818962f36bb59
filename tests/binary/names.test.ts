/** One program, 22 names: each answers, each alone is whole, and the same sources give the same program wherever they are built. */
import { afterEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { madeOf } from "../../lib/orchestra/made.ts";
import { NAMES, SHELTER, SHELTER_ID } from "../../lib/orchestra/names.ts";
import { ROSTER } from "../../lib/roster.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  COMPILED,
  documentOf,
  freshHome,
  plainEnvironment,
  runName,
  type TestHome,
} from "../support/program.ts";

const REPOSITORY = resolve(import.meta.dir, "../..");
const BIN = process.env["SHELTER_TEST_BIN"] ?? join(REPOSITORY, "bin");

const keep = keptForEachTest();
function place(name?: string): TestHome {
  return keep(freshHome(name));
}
/** Runs a file as it is, without `--home`. */
function run(argv: readonly string[], folder: string, env: Readonly<Record<string, string>> = {}) {
  const ran = Bun.spawnSync([...argv], { cwd: folder, env: plainEnvironment(folder, env) });
  return { code: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
}

describe("each of the 22 names", () => {
  const calledName = (name: string) => (name === SHELTER_ID ? SHELTER : name);

  test("says its version, as a line and as a document", () => {
    const { folder } = place();
    for (const name of NAMES) {
      const line = run([join(BIN, name), "--version"], folder);
      expect([name, line.code, line.stderr]).toEqual([name, 0, ""]);
      expect(line.stdout).toMatch(
        new RegExp(
          `^${calledName(name)} \\d+\\.\\d+\\.\\d+ \\(.*, bun-linux-.*, Bun 1\\.4\\.4\\)\\n$`,
        ),
      );
      const document = run([join(BIN, name), "--version", "--json"], folder);
      expect(JSON.parse(document.stdout)).toMatchObject({
        schema: 1,
        name: calledName(name),
        bun: "1.4.4",
        target: expect.stringMatching(/^bun-linux-/),
      });
      expect(JSON.parse(document.stdout)).toHaveProperty("commit");
      expect(JSON.parse(document.stdout)).toHaveProperty("dirty");
    }
  });

  test("has a help that names it and the exit codes, the same on the quick and on the slow way", () => {
    const { folder, home } = place();
    for (const name of NAMES) {
      const quick = run([join(BIN, name), "--help"], folder);
      expect([name, quick.code, quick.stderr]).toEqual([name, 0, ""]);
      expect(quick.stdout).toContain(calledName(name));
      const slow = run([join(BIN, name), "--home", home, "--help"], folder);
      expect([name, slow.stdout]).toEqual([name, quick.stdout]);
    }
  });

  test("gives one JSON document, and one that is not part of this build ends as absent", async () => {
    const at = place("a home, ünïcödé 雪");
    for (const { id, built } of ROSTER) {
      if (built && id !== "00_check_structure" && id !== SHELTER_ID) continue; // these have tests of their own
      const ended = await runName(COMPILED, id, ["--plan", "--json"], at);
      const document = documentOf(ended);
      expect(document.schema).toBe(1);
      if (!built)
        expect([id, ended.code, document.outcome, document.script]).toEqual([id, 11, "absent", id]);
    }
    expect(readdirSync(at.folder)).toEqual([]);
  });

  test("refuses what nobody takes with exit code 2, and says it on stderr alone", async () => {
    const at = place();
    for (const { id } of ROSTER) {
      const ended = await runName(COMPILED, id, ["--no-such-flag"], at);
      expect([id, ended.code, ended.stdout]).toEqual([id, 2, ""]);
      expect(ended.stderr).toContain("--no-such-flag");
    }
  });
});

describe("a name", () => {
  test("copied alone to an empty folder is the whole program", () => {
    const { folder } = place();
    for (const name of ["00_check_structure", "shelter"]) {
      const alone = join(folder, "alone", name);
      mkdirSync(join(folder, "alone"), { recursive: true });
      copyFileSync(join(BIN, name), alone);
      const ran = run(
        [alone, ...(name === "shelter" ? ["status"] : ["--plan"]), "--json"],
        join(folder, "alone"),
      );
      expect([name, ran.code, ran.stderr]).toEqual([name, 0, ""]);
      expect(JSON.parse(ran.stdout)).toMatchObject({ schema: 1, outcome: "converged" });
      rmSync(join(folder, "alone"), { recursive: true });
    }
    // with no clone above it, its home is the caller's own
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of any other kind behaves as shelter; a symbolic link counts as its own name", () => {
    const { folder } = place();
    const other = join(folder, "my shelter");
    copyFileSync(join(BIN, "03_build_llama_cpp"), other);
    expect(run([other, "--version"], folder).stdout).toStartWith("shelter ");
    const link = join(folder, "04_llm_benchmark");
    symlinkSync(other, link);
    expect(run([link, "--version"], folder).stdout).toStartWith("04_llm_benchmark ");
    const hard = join(folder, "07_threat_sim");
    linkSync(other, hard);
    expect(run([hard, "--version"], folder).stdout).toStartWith("07_threat_sim ");
  });

  test("of a script stands after shelter too", () => {
    const { folder } = place();
    expect(
      run([join(BIN, "shelter"), "03_install_models", "--version"], folder).stdout,
    ).toStartWith("03_install_models ");
    expect(
      run([join(BIN, "08_shelter_cli"), "00_check_structure", "--help"], folder).stdout,
    ).toContain("Usage: 00_check_structure");
  });
});

describe("bin/", () => {
  test("has 22 names of one file, and SHA256SUMS that hold", () => {
    const inodes = new Set(NAMES.map((name) => lstatSync(join(BIN, name)).ino));
    expect(inodes.size).toBe(1);
    const hash = createHash("sha256")
      .update(readFileSync(join(BIN, SHELTER)))
      .digest("hex");
    expect(readFileSync(join(BIN, "SHA256SUMS"), "utf8")).toBe(
      NAMES.map((name) => `${hash}  ${name}\n`).join(""),
    );
  });

  test("says when its commit was made, where others find it without starting it", () => {
    const { folder } = place();
    const said = run([join(BIN, SHELTER), "--version", "--json"], folder).stdout;
    const { version, commit, made } = JSON.parse(said) as {
      readonly version: string;
      readonly commit: string | null;
      readonly made?: string;
    };
    const probe = createProbe(thisMachine(), folder, "here");
    const found = madeOf(probe, join(BIN, SHELTER));
    expect([found?.at, found?.commit ?? null]).toEqual([made, commit]);
    if (found) expect(found.version).toBe(version);
    expect(made === undefined).toBe(commit === null);
  });

  test("names no folder of the machine that it was built on", () => {
    const bytes = readFileSync(join(BIN, SHELTER));
    for (const folder of [REPOSITORY, BIN, process.env["HOME"] ?? "/home"]) {
      // "/root" alone stands in Bun itself
      if (folder.length > 6)
        expect([folder, bytes.includes(`${folder}/`)]).toEqual([folder, false]);
    }
  });
});

describe("the build", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const one of folders.splice(0)) rmSync(one, { recursive: true, force: true });
  });
  /** The sources, as the working tree has them, in a folder of any name. */
  function sourcesIn(name: string): string {
    const top = mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "build-"));
    folders.push(top);
    const clone = join(top, name);
    mkdirSync(clone);
    for (const one of [
      "lib",
      "scripts",
      "models/catalogue.yaml",
      "package.json",
      "tsconfig.json",
      "bunfig.toml",
    ]) {
      cpSync(join(REPOSITORY, one), join(clone, one), { recursive: true });
    }
    symlinkSync(join(REPOSITORY, "node_modules"), join(clone, "node_modules"));
    return clone;
  }
  function build(clone: string, ...flags: readonly string[]) {
    const ran = Bun.spawnSync([process.execPath, "scripts/build.ts", "--json", ...flags], {
      cwd: clone,
      env: {
        ...plainEnvironment(clone),
        HOME: process.env["HOME"] ?? clone,
        PATH: process.env["PATH"] ?? "",
      },
    });
    if (!ran.success) throw new Error(ran.stderr.toString());
    return JSON.parse(ran.stdout.toString()) as {
      made: { sha256: string; replaced: number; folder: string; target: string; bytes: number }[];
    };
  }

  test("gives the same program in any folder, replaces nothing that is the same, and keeps the last release", () => {
    const [one, two] = [sourcesIn("one"), sourcesIn("an other, ünïcödé")];
    const first = build(one).made[0];
    expect(first?.replaced).toBe(22);
    expect(build(two).made[0]?.sha256).toBe(first?.sha256 ?? "");
    expect(build(one).made[0]).toMatchObject({ sha256: first?.sha256, replaced: 0 });

    const releases = () => readdirSync(join(one, "runtime", "bin")).sort();
    expect(releases()).toEqual([first?.sha256.slice(0, 16) ?? "", "current"].sort());
    for (const round of [1, 2]) {
      writeFileSync(
        join(one, "scripts", "answer.ts"),
        `console.log(${round});\nexport async function answer() {}\n`,
      );
      expect(build(one).made[0]?.replaced).toBe(22);
    }
    // two releases stay: the live one and the one before
    expect(releases().length).toBe(4);
    expect(releases()).toContain("last");
    expect(releases()).not.toContain(first?.sha256.slice(0, 16));
  }, 120_000);

  test("is taken back by update --back, which proves the last release first", () => {
    const clone = sourcesIn("back");
    const [first] = build(clone).made;
    const help = join(clone, "lib", "orchestra", "words.ts");
    writeFileSync(
      help,
      readFileSync(help, "utf8").replace("The unified command", "The other command"),
    );
    const [second] = build(clone).made;
    expect(second?.sha256).not.toBe(first?.sha256 ?? "");
    const shelter = join(clone, "bin", "shelter");
    expect(run([shelter, "--help"], clone).stdout).toStartWith("The other command");
    // a clone in somebody's HOME, not the HOME itself: that is refused as a home
    const person = { HOME: dirname(clone) };
    const back = run([shelter, "update", "--back", "--json"], clone, person);
    expect([back.code, JSON.parse(back.stdout)]).toEqual([
      0,
      expect.objectContaining({ outcome: "changed", replaced: 22 }),
    ]);
    expect(run([shelter, "--help"], clone).stdout).toStartWith("The unified command");
    expect(readFileSync(join(clone, "bin", "SHA256SUMS"), "utf8")).toContain(
      first?.sha256 ?? "none",
    );

    const last = join(clone, "runtime", "bin", second?.sha256.slice(0, 16) ?? "", SHELTER);
    writeFileSync(last, "not what was built");
    const damaged = run([shelter, "update", "--back"], clone, person);
    expect(damaged.code).toBe(11);
    expect(damaged.stderr).toContain("it is not what was built");
    expect(run([shelter, "--help"], clone).stdout).toStartWith("The unified command");
  }, 120_000);

  test("builds the hosts of shared.cfg and the rescue target when asked", () => {
    const clone = sourcesIn("all");
    writeFileSync(join(clone, "shared.cfg"), "hosts:\n  phantom:\n    target: bun-linux-x64\n");
    const { made } = build(clone, "--all");
    expect(made.map(({ folder, target }) => [folder.slice(clone.length + 1), target])).toEqual([
      ["bin", expect.stringMatching(/^bun-linux-/)],
      ["bin/hosts/phantom", "bun-linux-x64"],
      ["bin/rescue", "bun-linux-x64-baseline"],
    ]);
    for (const { folder, bytes } of made) {
      expect(readdirSync(folder).filter((name) => NAMES.includes(name)).length).toBe(22);
      expect(bytes).toBeLessThan(130_000_000);
    }
    const rescue = run([join(clone, "bin", "rescue", "shelter"), "--version", "--json"], clone);
    expect(JSON.parse(rescue.stdout)).toMatchObject({
      target: "bun-linux-x64-baseline",
      commit: null,
    });
  }, 120_000);
});
