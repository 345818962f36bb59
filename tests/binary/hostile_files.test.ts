/** Hostile files: damaged settings and status, times from the future, names and metadata that would drive a terminal. */
import { expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { ggufFile, tinyModel } from "../support/gguf_writer.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  COMPILED,
  documentOf,
  faultsOf,
  freshHome,
  journalOf,
  runName,
  type TestHome,
} from "../support/program.ts";

const keep = keptForEachTest();
async function scaffolded(): Promise<TestHome> {
  const at = keep(freshHome());
  expect((await runName(COMPILED, "02_scaffold_dirs", [], at)).code).toBe(0);
  return at;
}
const run = (at: TestHome, script: string, ...args: readonly string[]) =>
  runName(COMPILED, script, args, at);
const config = (at: TestHome) => join(at.home, "shared.cfg");

/** The one status file of a flag. */
function statusFile(at: TestHome, flag: string): string {
  const [host = ""] = readdirSync(join(at.home, "status"));
  return join(at.home, "status", host, `${flag}.json`);
}

test.each([
  ["a tab where YAML has none", "hosts:\n\t- name: phantom\n", "line 2"],
  ["an open bracket", "hosts: [phantom\nmodels: {}\n", "line"],
  ["bytes that are no text", "\u0000\u0001\u0002", "line"],
  ["a list where settings should be", "- a\n- b\n", "line 1"],
])("a damaged shared.cfg (%s): line and reason, moved aside, never lost", async (_, text, line) => {
  const at = await scaffolded();
  writeFileSync(config(at), text);
  const looked = documentOf(await run(at, "00_check_structure", "--plan", "--json"));
  const found = looked.findings.find((one) => one.id === "config-damaged");
  expect(found?.what).toContain(line);
  // nothing was moved yet: the command names a file that is there
  expect(found?.fix?.at(-1)).toBe(config(at));
  expect(found?.fix?.[0]).toBe("nano");
  expect(readFileSync(config(at), "utf8")).toBe(text);
  const { code, stdout, stderr } = await run(at, "00_check_structure");
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toContain(line);
  const aside = readdirSync(at.home).filter((name) => name.startsWith("shared.cfg.damaged-"));
  expect(aside).toHaveLength(1);
  expect(readFileSync(join(at.home, aside[0] ?? ""), "utf8")).toBe(text);
  expect((await run(at, "00_check_structure", "--verify")).code).toBe(0);
});

test("a shared.cfg with a wrong value is left to its owner: line and reason, blocked", async () => {
  const at = await scaffolded();
  const wrong = `${readFileSync(config(at), "utf8").replace(/^hosts:.*$/m, "# hosts")}\nhosts: 17\n`;
  writeFileSync(config(at), wrong);
  const ended = await run(at, "00_check_structure", "--json");
  const { outcome, error } = documentOf(ended);
  expect([ended.code, outcome]).toEqual([11, "blocked"]);
  expect(error?.what).toMatch(/line \d+/);
  expect(error?.fix?.length).toBeGreaterThan(0);
  expect(readFileSync(config(at), "utf8")).toBe(wrong);
});

test("a shared.cfg that is a folder, a dangling link or a huge file: said, nothing lost", async () => {
  for (const make of [
    (path: string) => mkdirSync(path),
    (path: string) => symlinkSync("/nowhere/at/all", path),
    (path: string) => writeFileSync(path, "#".repeat(70 * 1024 * 1024)),
  ]) {
    const at = keep(freshHome());
    mkdirSync(at.home, { mode: 0o700 });
    make(config(at));
    const { code, stdout, stderr } = await run(at, "02_scaffold_dirs");
    expect([0, 11]).toContain(code);
    expect(`${stdout}${stderr}`).toContain("shared.cfg");
    expect(`${stdout}${stderr}`).not.toContain("did not expect");
    expect(readdirSync(at.home).some((name) => name.startsWith("shared.cfg"))).toBe(true);
  }
});

test("a pipe in the place of a file of the home stops no command: it is named, and the rest goes on", async () => {
  for (const [name, words] of [
    ["shared.cfg", [["status"], ["next"], ["watch"], ["undo"]]],
    ["history_main.log", [["status"], ["history"], ["undo"]]],
    ["runtime/state/watch.json", [["status"], ["watch"]]],
    ["runtime/gateway.json", [["status"], ["ask", "who"]]],
  ] as const) {
    const at = await scaffolded();
    const path = join(at.home, name);
    rmSync(path, { force: true });
    mkdirSync(dirname(path), { recursive: true });
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
    const scripts = ["00_check_structure", "02_scaffold_dirs", "03_install_models"];
    const lines = [...scripts.map((one) => [one, "--plan"]), ["00_check_structure"]];
    for (const [word = "", ...rest] of [...words.map((one) => ["shelter", ...one]), ...lines]) {
      const through = ["timeout", "--kill-after=1", "15"];
      const { code, stdout, stderr } = await runName(COMPILED, word, rest, at, { through });
      expect([name, word, rest, [0, 10, 11].includes(code) ? "ended" : code]).toEqual([
        ...[name, word, rest, "ended"],
      ]);
      const tells = name === "shared.cfg" && word !== "03_install_models" && rest[0] !== "undo";
      if (tells || word === "00_check_structure") expect(stdout + stderr).toContain(name);
    }
  }
}, 120_000);

test.each([
  ["cut off", (text: string) => text.slice(0, text.length / 2)],
  ["empty", () => ""],
  ["not JSON", () => "\u001b[2J\u0000"],
  ["another schema", (text: string) => text.replace('"schema": 1', '"schema": 99')],
  ["wrong types", () => '{"schema":1,"outcome":7,"at":{},"facts":null}'],
  ["a list", () => "[]"],
  ["null", () => "null"],
])(
  "a damaged status file (%s): every reader lives, and 00 rebuilds it from the journal",
  async (_, damage) => {
    const at = await scaffolded();
    const path = statusFile(at, "dirs_scaffolded");
    const before = JSON.parse(readFileSync(path, "utf8")) as unknown;
    writeFileSync(path, damage(readFileSync(path, "utf8")));
    const board = await run(at, "shelter", "status");
    expect([0, 10, 11]).toContain(board.code);
    expect(board.stderr).not.toContain("did not expect");
    expect((await run(at, "02_scaffold_dirs", "--verify")).code).toBe(0);
    const { code, stdout, stderr } = await run(at, "00_check_structure");
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(before);
  },
);

test("a torn last line of the journal costs nothing but that line", async () => {
  const at = await scaffolded();
  const [host = ""] = readdirSync(join(at.home, "logs/journal"));
  const file = join(at.home, "logs/journal", host, "00000000.jsonl");
  appendFileSync(file, '{"at":"2026-01-01T00:00:00.000Z","index":2,"ki');
  expect((await run(at, "02_scaffold_dirs", "--undo")).code).toBe(0);
  expect((await run(at, "02_scaffold_dirs")).code).toBe(0);
  const { lines, torn } = journalOf(at.home);
  expect(torn).toBe(1);
  expect(faultsOf(lines)).toEqual([]);
});

test("a clock that went back: nothing is lost, nothing hangs, nothing is thought fresh for ever", async () => {
  const at = await scaffolded();
  const future = new Date(Date.now() + 400 * 24 * 3600 * 1000);
  const [host = ""] = readdirSync(join(at.home, "logs/journal"));
  const file = join(at.home, "logs/journal", host, "00000000.jsonl");
  // what a run in the "future" has left: journal, status, file times
  const moved = (text: string) =>
    text.replaceAll(/"(\d{4}-\d\d-\d\dT[^"]+Z)"/g, `"${future.toISOString()}"`);
  writeFileSync(file, moved(readFileSync(file, "utf8")));
  const status = statusFile(at, "dirs_scaffolded");
  writeFileSync(status, moved(readFileSync(status, "utf8")));
  const leftover = join(at.home, "runtime/work/old");
  mkdirSync(leftover);
  for (const name of readdirSync(at.home, { recursive: true, encoding: "utf8" })) {
    utimesSync(join(at.home, name), future, future);
  }
  for (const script of ["02_scaffold_dirs", "00_check_structure"]) {
    const ended = await run(at, script, "--json");
    expect({ script, code: ended.code }).toEqual({ script, code: 0 });
    expect(documentOf(ended).error).toBeUndefined();
  }
  // nothing from the future counts as old
  expect(existsSync(leftover)).toBe(true);
  const { lines } = journalOf(at.home);
  expect(faultsOf(lines)).toEqual([]);
  const board = await run(at, "shelter", "status", "--json");
  expect(board.stdout).not.toMatch(/-\d+ (d|h|min|s)\b/);
  expect(board.stderr).not.toContain("did not expect");
  // and the run of the future can still be taken back, as the latest that it is
  expect((await run(at, "02_scaffold_dirs", "--undo")).code).toBe(0);
  expect(existsSync(config(at))).toBe(false);
});

/** What a terminal would act upon; line breaks and tabs aside. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const HOSTILE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
const ESCAPES = "\u001b[31m\u001b]0;owned\u0007\u009b2J\u202egnp.exe\r\n\u001b[1A";

test("names that would drive a terminal are shown harmless", async () => {
  const at = await scaffolded();
  const name = ESCAPES.replaceAll("\n", "");
  writeFileSync(join(at.home, `.shelter-tmp-${name}`), "");
  writeFileSync(join(at.home, "models", `${name}.gguf`), ggufFile(tinyModel(ESCAPES)), {
    mode: 0o666,
  });
  mkdirSync(join(at.home, "runtime", name), { mode: 0o777 });
  symlinkSync(`/etc/${name}`, join(at.home, "runtime", `link${name}`));
  writeFileSync(config(at), `hosts:\n  "${name.replaceAll(/[\\"]/g, "")}": 1\n${name}: {`);
  utimesSync(join(at.home, `.shelter-tmp-${name}`), 1, 1);
  for (const args of [
    ["00_check_structure", "--plan", "--verbose"],
    ["00_check_structure", "--verbose"],
    ["03_install_models", "--plan", "--verbose"],
    ["03_install_models", "--verify", "--verbose"],
    ["shelter", "status"],
    ["shelter", "history"],
    ["02_scaffold_dirs", "--home", join(at.home, name)],
    ["02_scaffold_dirs", `--${name}`],
    ["shelter", name],
  ] as const) {
    const [script, ...rest] = args;
    const { stdout, stderr, code } = await run(at, script, ...rest);
    const said = stdout + stderr;
    expect(said.length).toBeGreaterThan(0);
    expect({
      args,
      hostile: HOSTILE.exec(said)?.[0],
    }).toEqual({ args, hostile: undefined });
    expect(code).not.toBe(1);
  }
  const history = join(at.home, "history_main.log");
  expect(HOSTILE.test(readFileSync(history, "utf8"))).toBe(false);
});
