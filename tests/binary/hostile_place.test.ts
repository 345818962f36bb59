/** A hostile place to run in: odd homes, masks, locales, settings in the current folder, environments that load code. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { smallDisk } from "../support/mounts.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  COMPILED,
  documentOf,
  freshHome,
  plainEnvironment,
  runName,
  WAYS,
  type TestHome,
} from "../support/program.ts";

const keep = keptForEachTest();
function place(name?: string): TestHome {
  return keep(freshHome(name));
}

/** Every entry below `top`, relative, with its mode. */
function modes(top: string): Map<string, number> {
  const all = readdirSync(top, { recursive: true, encoding: "utf8" });
  return new Map(all.map((path) => [path, statSync(join(top, path)).mode & 0o7777]));
}

const ODD = "дом 山の家 'a\" $(touch pwned) `b` ; %s\\n\u00a0e\u0301";

for (const way of WAYS) {
  describe(way.way, () => {
    test("a home with spaces, quotes, shell words and unicode", async () => {
      const at = place(ODD);
      const first = documentOf(await runName(way, "02_scaffold_dirs", ["--json"], at));
      expect(first.outcome).toBe("changed");
      expect(existsSync(join(at.home, "shared.cfg"))).toBe(true);
      for (const script of ["00_check_structure", "01_host_inventory"]) {
        const { code, stderr } = await runName(way, script, [], at);
        expect({ script, code, stderr }).toMatchObject({ code: 0 });
      }
      const { code } = await runName(way, "02_scaffold_dirs", ["--verify"], at);
      expect(code).toBe(0);
      // from source, Bun keeps a cache of its own in HOME
      expect(readdirSync(at.folder).filter((name) => name !== ".bun")).toEqual([ODD]);
      expect((await runName(way, "02_scaffold_dirs", ["--undo"], at)).code).toBe(0);
      expect(existsSync(join(at.home, "shared.cfg"))).toBe(false);
    });

    for (const mask of ["077", "027", "000"]) {
      test(`umask ${mask}: modes are ours, not the mask's`, async () => {
        const at = place();
        const through = ["sh", "-c", `umask ${mask}; exec "$@"`, "sh"];
        const done = await runName(way, "02_scaffold_dirs", ["--json"], at, { through });
        expect(documentOf(done).outcome).toBe("changed");
        const found = modes(at.home);
        for (const [path, mode] of found) expect([path, mode & 0o077]).toEqual([path, 0]);
        expect(found.get("shared.cfg")).toBe(0o600);
        expect(found.get("runtime")).toBe(0o700);
        expect((await runName(way, "00_check_structure", ["--verify"], at)).code).toBe(0);
      });
    }

    test("LANG=C and odd locales change nothing in what is read or said", async () => {
      const at = place("été");
      await runName(way, "02_scaffold_dirs", [], at);
      const said: unknown[] = [];
      for (const env of [
        {},
        { LANG: "C", LC_ALL: "C" },
        { LANG: "tr_TR.UTF-8" },
        { LC_ALL: "xx_NOPE", TZ: "Asia/Kathmandu" },
      ]) {
        const { facts, outcome } = documentOf(
          await runName(way, "02_scaffold_dirs", ["--plan", "--json"], at, { env }),
        );
        said.push({ facts, outcome });
      }
      expect(new Set(said.map((one) => JSON.stringify(one))).size).toBe(1);
    });

    test("no HOME, no USER, no LANG, no TERM", async () => {
      const at = place();
      const through = ["env", "--ignore-environment", "PATH=/usr/bin:/bin"];
      expect((await runName(way, "02_scaffold_dirs", [], at, { through })).code).toBe(0);
      expect((await runName(way, "00_check_structure", ["--verify"], at, { through })).code).toBe(
        0,
      );
    });
  });
}

test("a bunfig.toml and a .env in the current folder do nothing", async () => {
  const at = place();
  const cwd = join(at.folder, "trap");
  const mark = join(at.folder, "pwned");
  mkdirSync(cwd);
  writeFileSync(
    join(cwd, "bunfig.toml"),
    'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n',
  );
  writeFileSync(
    join(cwd, "evil.ts"),
    `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "x");`,
  );
  writeFileSync(join(cwd, "package.json"), '{ "name": "trap", "type": "commonjs" }');
  writeFileSync(join(cwd, "tsconfig.json"), "{ broken");
  writeFileSync(
    join(cwd, ".env"),
    `SHELTER_HOME=${cwd}/stolen\nNODE_OPTIONS=--require ./evil.ts\n`,
  );
  for (const args of [["--version"], ["--plan"], []]) {
    const { code } = await runName(COMPILED, "02_scaffold_dirs", args, at, { cwd });
    expect([args, [0, 10].includes(code)]).toEqual([args, true]);
  }
  expect(existsSync(mark)).toBe(false);
  expect(readdirSync(cwd).sort()).toEqual([
    ".env",
    "bunfig.toml",
    "evil.ts",
    "package.json",
    "tsconfig.json",
  ]);
});

testUnless(needsRoot)("what would load code into our children never reaches them", async () => {
  const at = place();
  await runName(COMPILED, "02_scaffold_dirs", [], at);
  // every program that the shelter starts is found here first and tells what it was given, then is the real one
  const spy = join(at.folder, "spy");
  const seen = join(at.folder, "seen");
  mkdirSync(spy);
  for (const name of [
    "git",
    "cmake",
    "g++",
    "gcc",
    "pip3",
    "python3",
    "lspci",
    "nvidia-smi",
    "ccache",
    "glslc",
    "npm",
    "node",
  ]) {
    writeFileSync(
      join(spy, name),
      `#!/bin/sh\n{ echo "== ${name}"; tr '\\0' '\\n' < /proc/self/environ; } >> '${seen}'\nexit 1\n`,
    );
    chmodSync(join(spy, name), 0o755);
  }
  const planted = {
    BUN_OPTIONS: "--smol",
    NODE_OPTIONS: "--no-warnings",
    LD_LIBRARY_PATH: "/nowhere",
    PYTHONSTARTUP: "/nowhere.py",
    PYTHONPATH: "/nowhere",
    PERL5OPT: "-w",
    GIT_SSH_COMMAND: "/nowhere",
    GIT_CONFIG_COUNT: "0",
    BASH_ENV: "/nowhere.sh",
    ENV: "/nowhere.sh",
  };
  const env = { ...planted, PATH: `${spy}:/usr/bin:/bin` };
  // system folders come first on the children's PATH, so the spies have to stand there
  const through = mountOver(spy);
  await runName(COMPILED, "01_validate_prereqs", ["--plan"], at, { env, through });
  const told = existsSync(seen) ? readFileSync(seen, "utf8") : "";
  expect(told).toContain("== ");
  for (const name of [...Object.keys(planted), "BUN_BE_BUN"])
    expect(told).not.toContain(`\n${name}=`);
  expect(told).toContain("\nLC_ALL=C.UTF-8");
});

/** Makes the spies stand where the system's own programs are, in a namespace that ends with the run. */
function mountOver(spy: string): readonly string[] {
  const script = `for f in "$0"/*; do n=/usr/bin/\${f##*/}; [ -e "$n" ] && mount --bind "$f" "$(readlink -f "$n")"; done; exec "$@"`;
  return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, spy];
}

testUnless(needsRoot)("a read-only file system: said, nothing half done", async () => {
  const at = place();
  const disk = await smallDisk(at.home, "size=4m");
  try {
    const { through } = disk;
    await disk.inside("mount", "-o", "remount,ro", at.home);
    const fresh = documentOf(
      await runName(COMPILED, "02_scaffold_dirs", ["--json"], at, { through }),
    );
    expect(fresh.outcome).toBe("blocked");
    expect(
      `${fresh.error?.what} ${fresh.error?.why} ${fresh.findings.map((one) => one.what).join()}`,
    ).toMatch(/read-only/i);
    expect(readdirSync(disk.outside(at.home))).toEqual([]);

    await disk.inside("mount", "-o", "remount,rw", at.home);
    expect((await runName(COMPILED, "02_scaffold_dirs", [], at, { through })).code).toBe(0);
    await disk.inside("mount", "-o", "remount,ro", at.home);
    // looking needs no writing
    expect((await runName(COMPILED, "02_scaffold_dirs", ["--verify"], at, { through })).code).toBe(
      0,
    );
    expect((await runName(COMPILED, "02_scaffold_dirs", ["--plan"], at, { through })).code).toBe(0);
    const undo = await runName(COMPILED, "02_scaffold_dirs", ["--undo", "--json"], at, { through });
    expect([undo.code, documentOf(undo).outcome]).toEqual([11, "blocked"]);
    expect(existsSync(disk.outside(join(at.home, "shared.cfg")))).toBe(true);
  } finally {
    await disk.end();
  }
});

testUnless(needsRoot)(
  "a home of somebody else's that may not be read is no fresh one: every command says whose it is, and what to type",
  async () => {
    // not in the run's own folder, which is closed to others
    const folder = mkdtempSync(join(tmpdir(), "shelter-foreign-"));
    const dispose = () => rmSync(folder, { recursive: true, force: true });
    const at = keep({ folder, home: join(folder, "home"), dispose });
    expect((await runName(COMPILED, "02_scaffold_dirs", [], at)).code).toBe(0);
    // the programs stand where everybody may start them
    chmodSync(at.folder, 0o755);
    for (const name of ["shelter", "00_check_structure"]) {
      copyFileSync(COMPILED.command(name)[0] ?? "", join(at.folder, name));
      chmodSync(join(at.folder, name), 0o755);
    }
    const nobody = (home: string, name: string, ...words: readonly string[]) => {
      const who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
      const ran = Bun.spawnSync([...who, join(at.folder, name), ...words, "--home", home], {
        env: plainEnvironment(at.folder, { USER: "nobody" }),
        cwd: at.folder,
      });
      return {
        code: ran.exitCode,
        said: (ran.stdout.toString() + ran.stderr.toString()).replaceAll(/\s+/g, " "),
      };
    };
    const lines = [
      ...["status", "next", "history", "undo", "logs", "plan", "watch", "update", "migrate"],
      ...["ask who", "up"],
    ].map((line) => ["shelter", ...line.split(" ")]);
    const all = [...lines, ["00_check_structure"], ["00_check_structure", "--plan"]];
    const denied = (home: string, says: string) => {
      for (const [name = "", ...words] of all) {
        const { code, said } = nobody(home, name, ...words);
        expect([name, words, code, said]).toEqual([
          ...[
            name,
            words,
            11,
            expect.stringContaining(`it belongs to root, and nobody may not ${says}`),
          ],
        ]);
        expect(said).toContain(`sudo -u root ./bin/shelter status --home ${home}`);
      }
    };
    denied(at.home, "read it");
    chmodSync(at.home, 0o755);
    denied(at.home, `read ${join(at.home, "status")}`);
    const inside = join(at.folder, "closed");
    mkdirSync(join(inside, "home"), { recursive: true });
    chmodSync(inside, 0o700);
    denied(join(inside, "home"), "read it");

    expect(nobody(at.home, "shelter", "completions", "bash").code).toBe(0);
    const open = join(at.folder, "open");
    mkdirSync(open, { mode: 0o755 });
    expect(nobody(open, "shelter", "status").code).toBe(0);
    expect(nobody(join(at.folder, "none"), "shelter", "status").code).toBe(0);
  },
  60_000,
);

test("a home that may not be written: said, nothing half done", async () => {
  const at = place();
  // root without its powers is somebody whom modes hold back
  const isRoot = process.getuid?.() === 0;
  const through = isRoot ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
  chmodSync(at.folder, 0o500);
  try {
    const ended = await runName(COMPILED, "02_scaffold_dirs", ["--json"], at, { through });
    const { outcome, error } = documentOf(ended);
    expect([ended.code, outcome]).toEqual([11, "blocked"]);
    expect(`${error?.what} ${error?.why}`).toMatch(/permission|may not|denied/i);
    expect(readdirSync(at.folder)).toEqual([]);
  } finally {
    chmodSync(at.folder, 0o700);
  }
});
