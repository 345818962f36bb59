/** The test command itself, in a planted repository: its sums, its last line, its exit code and what it refuses to pass over. */
import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseReport } from "./junit.ts";
import { tally } from "./tally.ts";
import { parseRequired, parseTier, tierOf, TIERS } from "./tiers.ts";

const TESTS = resolve(import.meta.dir, "..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const IMPORT = 'import { expect, test } from "bun:test";\n';
const PASSING = `${IMPORT}test("fine", () => expect(1).toBe(1));`;
const FAILING = `${IMPORT}test("bad", () => expect(1).toBe(2));`;
const EMPTY = "export {};";

function planted(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "shelter-runner-"));
  folders.push(folder);
  for (const part of ["run.ts", "runner"]) {
    cpSync(join(TESTS, part), join(folder, "tests", part), {
      recursive: true,
      filter: (path) => !path.endsWith(".test.ts"),
    });
  }
  symlinkSync(join(TESTS, "../node_modules"), join(folder, "node_modules"));
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  return folder;
}

async function runIn(
  folder: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; text: string; last: string }> {
  const child = Bun.spawn([process.execPath, "tests/run.ts", ...args], {
    cwd: folder,
    env: { ...process.env, SHELTER_REQUIRE: "", XDG_CACHE_HOME: join(folder, "cache"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return { code: child.exitCode ?? -1, text, last: text.trimEnd().split("\n").at(-1) ?? "" };
}

test("sums over the tiers, with one plain last line", async () => {
  const folder = planted({
    "tests/a.test.ts": PASSING,
    "tests/facts/b.test.ts": PASSING,
    "tests/laws/c.test.ts": PASSING,
    "tests/bench/d.test.ts": FAILING,
  });
  const { code, text, last } = await runIn(folder);
  expect(last).toBe("3 passed, 0 failed, 0 skipped");
  expect(code).toBe(0);
  expect(text).toContain("unit: 2 passed, 0 failed, 0 skipped");
});

test("a failure anywhere fails the whole, and the later tiers still run", async () => {
  const folder = planted({ "tests/a.test.ts": FAILING, "tests/laws/c.test.ts": PASSING });
  const { code, last, text } = await runIn(folder);
  expect(last).toBe("1 passed, 1 failed, 0 skipped");
  // named at the very end: what failed an hour of output ago is not to be searched for
  expect(text).toContain("\n\nfailed: tests/a.test.ts: bad\n1 passed, 1 failed, 0 skipped");
  expect(code).toBe(1);
});

test("a test left out needs a reason, and none may be left out where everything is required", async () => {
  const reason = `${IMPORT}test.skip("gpu (left out: no card)", () => {});\n${PASSING.slice(IMPORT.length)}`;
  const folder = planted({ "tests/a.test.ts": reason });
  const free = await runIn(folder);
  expect(free.last).toBe("1 passed, 0 failed, 1 skipped");
  expect(free.text).toContain("left out: tests/a.test.ts: gpu (left out: no card)");
  expect(free.code).toBe(0);
  const strict = await runIn(folder, ["unit"], { SHELTER_REQUIRE: "unit" });
  expect(strict.last).toBe("1 passed, 1 failed, 0 skipped");
  expect(strict.code).toBe(1);
  const silent = planted({ "tests/a.test.ts": reason.replace(" (left out: no card)", "") });
  expect((await runIn(silent)).last).toBe("1 passed, 1 failed, 0 skipped");
});

test("a file of which nothing ran, and a suite of which nothing ran, are failures", async () => {
  const one = await runIn(planted({ "tests/a.test.ts": PASSING, "tests/b.test.ts": EMPTY }));
  expect(one.last).toBe("1 passed, 1 failed, 0 skipped");
  expect(one.text).toContain("tests/b.test.ts: none of its tests ran");
  const none = await runIn(planted({}));
  expect(none).toMatchObject({ code: 1, last: "0 passed, 0 failed, 0 skipped" });
});

test("a crash of the test process is a failure", async () => {
  const crash = `${IMPORT}test("dies", () => process.kill(process.pid, "SIGKILL"));`;
  const { code, last, text } = await runIn(planted({ "tests/a.test.ts": crash }));
  expect(last).toBe("0 passed, 1 failed, 0 skipped");
  expect(text).toContain("no report was written");
  expect(code).toBe(1);
});

test("a hanging test is ended by its time limit", async () => {
  const hang = `${IMPORT}test("hangs", () => new Promise(() => setInterval(() => {}, 1000)), 200);`;
  expect((await runIn(planted({ "tests/a.test.ts": hang }))).last).toBe(
    "0 passed, 1 failed, 0 skipped",
  );
});

test("a tier that this machine cannot run says why and how, and fails where it is required", async () => {
  const folder = planted({ "tests/a.test.ts": PASSING, "tests/engine/b.test.ts": PASSING });
  const poor = { PATH: folder };
  const free = await runIn(folder, [], poor);
  expect(free.text).toMatch(/engine is left out: this machine has no .*cmake.* apt-get install -y/);
  expect(free).toMatchObject({ code: 0, last: "1 passed, 0 failed, 0 skipped" });
  const strict = await runIn(folder, [], { ...poor, SHELTER_REQUIRE: "engine" });
  expect(strict).toMatchObject({ code: 1, last: "1 passed, 1 failed, 0 skipped" });
});

test("a required tier without tests fails", async () => {
  const folder = planted({ "tests/a.test.ts": PASSING });
  const { code, text } = await runIn(folder, ["unit", "laws"], { SHELTER_REQUIRE: "all" });
  expect(text).toContain("laws may not be left out");
  expect(code).toBe(1);
});

test("binaries are built once before the tiers that need them; where that fails, so do these", async () => {
  const binary = `${IMPORT}import { existsSync } from "node:fs";
test("built", () => expect(existsSync(process.env.SHELTER_TEST_BIN + "/made")).toBe(true));`;
  const build = `import { appendFileSync, mkdirSync } from "node:fs";
mkdirSync("bin", { recursive: true }); appendFileSync("bin/made", "x"); console.log("BUILT");`;
  const good = await runIn(
    planted({
      "scripts/build.ts": build,
      "tests/binary/a.test.ts": binary,
      "tests/a.test.ts": PASSING,
    }),
  );
  expect(good.last).toBe("2 passed, 0 failed, 0 skipped");
  expect(good.text.match(/BUILT/g)).toHaveLength(1);
  const bad = await runIn(
    planted({ "scripts/build.ts": "process.exit(3)", "tests/binary/a.test.ts": binary }),
  );
  expect(bad).toMatchObject({ code: 1, last: "0 passed, 1 failed, 0 skipped" });
});

test("tests never see the operator's home", async () => {
  const look = `${IMPORT}test("no home", () => expect(process.env.SHELTER_HOME).toBeUndefined());`;
  const { last } = await runIn(planted({ "tests/a.test.ts": look }), [], {
    SHELTER_HOME: "/somewhere",
  });
  expect(last).toBe("1 passed, 0 failed, 0 skipped");
});

test("an unknown tier is a usage error", async () => {
  const folder = planted({ "tests/a.test.ts": PASSING });
  expect((await runIn(folder, ["nope"])).code).toBe(2);
  expect((await runIn(folder, [], { SHELTER_REQUIRE: "nope" })).code).toBe(2);
});

test("which tier a file belongs to", () => {
  expect(tierOf("facts/cpu.test.ts")).toBe("unit");
  expect(tierOf("lab/one_host.test.ts")).toBe("lab");
  expect(tierOf("binary/hostile/locale.test.ts")).toBe("binary");
  expect(tierOf("support/fake_machine.test.ts")).toBeUndefined();
  expect(tierOf("facts/cpu.ts")).toBeUndefined();
});

test("what is required", () => {
  expect([...parseRequired("lab, engine")]).toEqual(["lab", "engine"]);
  expect(parseRequired("all").size).toBe(TIERS.length);
  expect(parseRequired(undefined).size).toBe(0);
  expect(() => parseTier("Lab")).toThrow("no tier is called");
});

test("names and reasons survive the report's escaping", () => {
  const xml = `<testsuites><testsuite><testcase name="a &lt;b&gt; &quot;c&quot; (left out: no &amp; n&#10;ever)" classname="g &gt; h" file="f.ts"><skipped /></testcase></testsuite></testsuites>`;
  expect(parseReport(xml)).toEqual([
    {
      file: "f.ts",
      name: 'g > h > a <b> "c" (left out: no & n\never)',
      state: "skipped",
      reason: "no & n\never",
    },
  ]);
});

test("a bad exit without a failed test is one failure", () => {
  const cases = [{ file: "f", name: "n", state: "passed" as const }];
  expect(tally({ files: ["f"], cases, code: 1 }, false)).toMatchObject({ passed: 1, failed: 1 });
  expect(tally({ files: ["f"], cases, code: 0 }, false)).toMatchObject({ passed: 1, failed: 0 });
});
