/** `shelter` end to end, compiled and from source: what it shows, what it takes back, what it refuses. No engine is needed for these. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../lib/orchestra/commands.ts";
import { ROSTER } from "../../lib/roster.ts";
import { keptForEachTest } from "../support/kept.ts";
import {
  documentOf,
  freshHome,
  journalOf,
  plainEnvironment,
  runName,
  WAYS,
  type Ended,
  type TestHome,
} from "../support/program.ts";

const keep = keptForEachTest();
function place(name?: string): TestHome {
  return keep(freshHome(name));
}
function json(ended: Ended): Record<string, unknown> {
  return documentOf(ended) as unknown as Record<string, unknown>;
}
/** What is in a folder; ".bun" is Bun's own cache where it runs the sources. */
const madeIn = (folder: string) => readdirSync(folder).filter((name) => name !== ".bun");
/** The one host's name in a home. */
const hostIn = (home: string) => readdirSync(join(home, "status"))[0] ?? "";

/** Words that a command can't do without. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  ask: ["who"],
  pair: ["shadow"],
  peer: ["operator", "shadow"],
  completions: ["bash"],
};

for (const way of WAYS) {
  const shelter = (at: TestHome, ...words: readonly string[]) => runName(way, "shelter", words, at);

  describe(`shelter, ${way.way}`, () => {
    test("shows all 21 scripts of a home that is not there, and makes nothing", async () => {
      const at = place("not there, ünïcödé 雪");
      for (const words of [["status"], [], ["status", "--verbose"], ["next"], ["history"]]) {
        const ended = await shelter(at, ...words);
        expect([words, ended.code, ended.stderr]).toEqual([
          words,
          words[0] === "next" ? 10 : 0,
          "",
        ]);
      }
      const { scripts, next, outcome } = json(await shelter(at, "status", "--json")) as {
        scripts: { script: string; standing: string }[];
        next: string[];
        outcome: string;
      };
      expect(scripts.map((row) => row.script)).toEqual(ROSTER.map((row) => row.id));
      expect(new Set(scripts.map((row) => row.standing))).toEqual(
        new Set(["open", "elsewhere", "absent"]),
      );
      expect([outcome, next]).toEqual(["converged", ["./bin/00_check_structure"]]);
      expect(madeIn(at.folder)).toEqual([]);
    });

    test("takes back the last run, then everything, and with --forget leaves nothing at all", async () => {
      const at = place();
      mkdirSync(at.home);
      writeFileSync(join(at.home, "mine.txt"), "the operator's own\n");
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      expect((await runName(way, "00_check_structure", [], at)).code).toBe(0);
      expect(existsSync(join(at.home, "shared.cfg"))).toBe(true);
      const undone = json(await shelter(at, "undo", "--json")) as {
        outcome: string;
        runs: { script: string }[];
      };
      expect([undone.outcome, undone.runs.map((run) => run.script)]).toEqual([
        "changed",
        ["02_scaffold_dirs"],
      ]);
      expect(existsSync(join(at.home, "shared.cfg"))).toBe(false);
      expect(json(await shelter(at, "undo", "--json"))).toMatchObject({
        outcome: "converged",
        runs: [],
      });

      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const one = await runName(way, "02_scaffold_dirs", ["--undo"], at);
      expect(one.stdout).toContain("02_scaffold_dirs on ");
      expect(one.stdout).toContain(": taken back (");
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const all = await shelter(at, "undo", "--all");
      expect(all.stdout).toMatch(/02_scaffold_dirs +taken back, \d+ steps/);
      expect([all.code, readdirSync(at.home).sort()]).toEqual([
        0,
        ["history_main.log", "logs", "mine.txt"],
      ]);
      expect(journalOf(at.home).lines.length).toBeGreaterThan(4);

      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const forgotten = await shelter(at, "undo", "--all", "--forget");
      expect([forgotten.code, readdirSync(at.home)]).toEqual([0, ["mine.txt"]]);
    });

    test("undo leaves alone what somebody changed since, says which, and takes nothing else away", async () => {
      const at = place();
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      writeFileSync(join(at.home, "shared.cfg"), "hosts: {}\n");
      const ended = await shelter(at, "undo", "--all");
      expect(ended.code).toBe(11);
      expect(ended.stdout).toContain("shared.cfg");
      expect(readFileSync(join(at.home, "shared.cfg"), "utf8")).toBe("hosts: {}\n");
      expect(existsSync(join(at.home, "status"))).toBe(true);
    });

    test("history and logs tell of the runs, and nothing drives the terminal", async () => {
      const at = place();
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const { runs, trends } = json(await shelter(at, "history", "--json")) as {
        runs: { script: string }[];
        trends: { script: string; runs: number }[];
      };
      expect(runs.map((run) => run.script)).toEqual(["02_scaffold_dirs"]);
      expect(trends).toMatchObject([{ script: "02_scaffold_dirs", runs: 1, failed: 0 }]);
      const log = json(await shelter(at, "logs", "02_scaffold_dirs", "--lines", "3", "--json")) as {
        records: unknown[];
        file: string;
      };
      expect(log.records.length).toBe(3);
      writeFileSync(log.file, '{"line":"\\u001b[2Jgone"}\nnot json \u001b]0;title\u0007\n');
      const shown = await shelter(at, "logs");
      expect(shown.stdout).toContain("\\x1b[2Jgone");
      expect(shown.stdout).not.toContain("\u001b");
    });

    test("a status file that is damaged is shown, and made anew from the journal by migrate", async () => {
      const at = place();
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const file = join(at.home, "status", hostIn(at.home), "dirs_scaffolded.json");
      const was = readFileSync(file, "utf8");
      writeFileSync(file, was.replace('"schema": 1', '"schema": 0'));
      expect((await shelter(at, "status")).stdout).toMatch(/02_scaffold_dirs +failed.*schema/);
      const moved = json(await shelter(at, "migrate", "--json"));
      expect(moved).toMatchObject({ outcome: "changed", made: [file] });
      expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(JSON.parse(was));
      expect(readdirSync(join(at.home, "runtime", "quarantine")).length).toBe(1);
      expect(json(await shelter(at, "migrate", "--json"))).toMatchObject({ outcome: "converged" });
    });

    test("refuses with the right code, the reason and the next command", async () => {
      const at = place();
      const cases: readonly (readonly [words: readonly string[], code: number, says: string])[] = [
        [["stat"], 2, "did you mean status?"],
        [["status", "--nope"], 2, "--nope"],
        [["status", "--host", "elsewhere"], 11, "elsewhere"],
        [["completions", "tcsh"], 2, "bash, zsh, fish"],
        [["undo", "99_nothing"], 2, "99_nothing"],
        [["undo", "--forget"], 2, "--all"],
        [["logs"], 11, "nothing was logged"],
        [["logs", "--lines", "0"], 2, "whole number"],
        [["ask", "Who", "are", "you?"], 11, "03_build_llama_cpp"],
        [["ask"], 2, "no question"],
        [["ask", "hi", "--max-tokens", "abc"], 2, "whole number"],
        [["03_build_llama_cpp", "--jobs", "x"], 2, "1 to 1024"],
        [["up", "--plam"], 2, "./bin/shelter up --help"],
        [["up", "--plan", "--nope"], 2, "./bin/shelter plan --help"],
        [["up", "--plan"], 10, "03_build_llama_cpp"],
        [["help"], 0, "Exit codes"],
        [["serve", "--port", "99999"], 2, "65535"],
        [["update"], 11, "./bin/05_rsync_mirror --plan"],
        [["logs", "--lines"], 2, "value"],
        [["03_build_llama_cpp", "--with", "nonsense"], 2, "cuda, vulkan, amx"],
        [["03_build_llama_cpp", "--without", "cuda,all", "--plan"], 2, "cuda, vulkan, amx"],
        [["03_build_llama_cpp", "--jobs", "0"], 2, "1 to 1024"],
        [["04_llm_benchmark", "--budget", "abc", "--plan"], 2, "number of seconds"],
        [["04_llm_benchmark", "--preheat", "-1"], 2, "number of seconds"],
        [["05_rsync_mirror", "--take", "both", "x"], 2, "mine or theirs"],
        [["03_build_llama_cpp", "--plan", "--with", "auto", "--home", "/etc"], 2, "--home"],
      ];
      for (const [words, code, says] of cases) {
        const ended = await shelter(at, ...words);
        expect([words, ended.code, (ended.stdout + ended.stderr).includes(says)]).toEqual([
          words,
          code,
          true,
        ]);
        expect([words, /(\.\/bin\/|--help|git)/.test(ended.stdout + ended.stderr)]).toEqual([
          words,
          true,
        ]);
      }
      for (const words of [
        ["ask", "x", "--json"],
        ["status", "--json", "--nope"],
        ["status", "--json=true", "--nope"],
        ["00_check_structure", "--json=true", "--nope"],
        ["09_iso_boot_setup", "--json=true", "--nope"],
      ]) {
        expect([words, json(await shelter(at, ...words))["error"] !== undefined]).toEqual([
          words,
          true,
        ]);
      }
      expect(madeIn(at.folder)).toEqual([]);
    });

    test.each([
      ["hosts: [\n", "config-damaged", /line \d+, column \d+/, ["./bin/00_check_structure"]],
      ["retention: {builds: 0}\n", "config-invalid", /line 1, column \d+: retention/, undefined],
    ] as const)(
      "a shared.cfg that can't be used (%p) is named by status, next and watch, with its place and what is next",
      async (text, id, where, command) => {
        const at = place();
        for (const script of ["00_check_structure", "02_scaffold_dirs"])
          expect((await runName(way, script, [], at)).code).toBe(0);
        const file = join(at.home, "shared.cfg");
        const sound = readFileSync(file, "utf8");
        writeFileSync(file, text);
        const fix = command ?? ["nano", "+1", file];
        for (const word of ["status", "next", "watch"]) {
          const { stdout } = await shelter(at, word);
          const said = stdout.replaceAll(/\s+/g, " ");
          expect([word, said]).toEqual([word, expect.stringMatching(where)]);
          expect([word, said]).toEqual([word, expect.stringContaining(fix.slice(0, 2).join(" "))]);
        }
        expect(json(await shelter(at, "status", "--json"))).toMatchObject({
          config: { id, why: expect.stringMatching(where) },
          next: fix,
        });
        const next = await shelter(at, "next", "--json");
        expect([next.code, json(next)]).toMatchObject([
          10,
          { config: { id }, next: { script: "00_check_structure", fix } },
        ]);
        writeFileSync(file, sound);
        expect(json(await shelter(at, "status", "--json"))).toMatchObject({ config: null });
        for (const word of ["status", "next", "watch"])
          expect((await shelter(at, word)).stdout).not.toContain("shared.cfg");
      },
    );

    test("--host: carried out there or refused, and never done here instead", async () => {
      const at = place();
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const before = journalOf(at.home).lines.length;
      for (const { name, host } of COMMANDS) {
        const words: readonly string[] =
          name === "undo" ? ["--all", "--forget"] : (WORDS[name] ?? []);
        const ended = await shelter(at, name, ...words, "--host", "elsewhere");
        const refused = typeof host === "object";
        expect([name, ended.code, ended.stdout]).toEqual([name, refused ? 2 : 11, ""]);
        const why = refused ? host.refused : host === "there" ? "not paired" : "nothing is known";
        const said = ended.stderr.replaceAll(/\s+/g, " ");
        expect([name, said]).toEqual([name, expect.stringContaining(why)]);
      }
      expect(journalOf(at.home).lines.length).toBe(before);
      expect(existsSync(join(at.home, "shared.cfg"))).toBe(true);
      const own = hostIn(at.home);
      expect(json(await shelter(at, "undo", "--json", "--host", own))).toMatchObject({
        outcome: "changed",
      });
    });

    test("its flags stand anywhere, a mode alone is a command, and a script's name is that script", async () => {
      const at = place();
      expect(json(await shelter(at, "--json", "next"))).toMatchObject({ outcome: "planned" });
      expect(json(await shelter(at, "--undo", "--json"))).toMatchObject({ runs: [] });
      expect(json(await shelter(at, "09_iso_boot_setup", "--json"))).toMatchObject({
        outcome: "absent",
        script: "09_iso_boot_setup",
      });
      expect(json(await shelter(at, "02_scaffold_dirs", "--plan", "--json"))).toMatchObject({
        outcome: "planned",
        script: "02_scaffold_dirs",
      });
      expect(madeIn(at.folder)).toEqual([]);
    });

    test("up halts before a script that failed three times in the same way, with that history and the best-known fix", async () => {
      const at = place();
      expect((await runName(way, "02_scaffold_dirs", [], at)).code).toBe(0);
      const host = hostIn(at.home);
      const { lines } = journalOf(at.home);
      const failed = (index: number, because: string) => {
        const common = {
          schema: 1,
          at: `2026-01-0${index - lines.length + 1}T00:00:00.000Z`,
          run: `r${index}`,
          script: "00_check_structure",
        };
        const end = {
          ...common,
          kind: "end",
          index,
          outcome: "rolled-back",
          took_ms: 5,
          steps: 0,
          because,
          why: "no room",
          log_sha256: "",
          flag: "structure_ok",
          fingerprint: "",
          facts: null,
        };
        return JSON.stringify(end);
      };
      const file = join(at.home, "logs", "journal", host, "00000000.jsonl");
      const was = readFileSync(file, "utf8");
      writeFileSync(
        file,
        `${was}${[0, 1, 2].map((i) => failed(lines.length + i, "disk-full")).join("\n")}\n`,
      );
      const ended = await shelter(at, "up");
      expect(ended.code).toBe(11);
      expect(ended.stdout).toContain("failed 3 times in a row with disk-full");
      expect(ended.stdout).toContain("2026-01-03T00:00:00.000Z");
      expect(ended.stdout).toContain("The disk is full");
      expect(ended.stdout).toContain("up --again");
      expect(json(await shelter(at, "up", "--json"))).toMatchObject({
        schema: 1,
        outcome: "blocked",
        runs: [],
        error: { id: "halted", fix: ["./bin/00_check_structure"] },
      });
      expect((await shelter(at, "history")).stdout).toContain("failed 3 times in a row");
    });

    test("a reader that goes away is no failure; a full disk behind > is one, and said", async () => {
      const at = place();
      const run = (words: readonly string[], into: string) => {
        const line = [...way.command("shelter"), ...words, "--home", at.home];
        const ran = Bun.spawnSync(["bash", "-c", `"$@" ${into}`, "bash", ...line], {
          env: plainEnvironment(at.folder),
        });
        return { code: ran.exitCode, stderr: ran.stderr.toString(), stdout: ran.stdout.toString() };
      };
      for (const [words, code] of [
        [["status"], 0],
        [["status", "--json"], 0],
        [["next"], 10],
        [["completions", "fish"], 0],
        [["--help"], 0],
        [["plan", "--json"], undefined],
      ] as const) {
        const gone = run(words, "| (exec <&-; sleep 0.5); exit ${PIPESTATUS[0]}");
        if (code !== undefined) expect([words, gone.code, gone.stderr]).toEqual([words, code, ""]);
        expect([words, gone.code === 1]).toEqual([words, false]);
        expect([words, run(words, ">&-").code === 1]).toEqual([words, false]);
      }
      const full = run(["status"], "> /dev/full");
      expect([full.code, full.stderr]).toEqual([
        11,
        expect.stringContaining("stdout could not be written"),
      ]);
    });

    test("completions of each shell name every script and command", async () => {
      const at = place();
      for (const shell of ["bash", "zsh", "fish"]) {
        const { stdout, code } = await shelter(at, "completions", shell);
        expect([shell, code]).toEqual([shell, 0]);
        for (const { id } of ROSTER) expect(stdout).toContain(id);
        for (const word of ["up", "status", "undo", "--verify", "--max-tokens"])
          expect(stdout).toContain(shell === "fish" ? word.replace("--", "-l ") : word);
      }
    });
  });
}
