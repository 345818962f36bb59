/** The completion scripts, asked by the real shells where they are installed. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completionScript, SHELLS, type Vocabulary } from "../../lib/orchestra/completions.ts";
import { testUnless } from "../support/left_out.ts";

const plan = { name: "plan", summary: "Show it: what's to do [and not]", takesValue: false };
const home = { name: "home", summary: "The home", takesValue: true };
const VOCABULARY: Vocabulary = {
  alias: "08_shelter_cli",
  shelter: {
    name: "shelter",
    flags: [plan, home],
    words: [
      { name: "status", summary: "Don't panic: it's all here" },
      { name: "completions", summary: "$(touch /tmp/never) `id`" },
      { name: "03_install_models", summary: "Models" },
    ],
    subcommands: [
      { name: "status", flags: [home], words: [] },
      {
        name: "completions",
        flags: [],
        words: [
          { name: "bash", summary: "for bash" },
          { name: "zsh", summary: "for zsh" },
        ],
      },
    ],
  },
  scripts: [{ name: "03_install_models", flags: [plan, home], words: [] }],
};

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "shelter-completions-"));
  for (const shell of SHELLS)
    writeFileSync(join(folder, shell), completionScript(shell, VOCABULARY));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function ask(argv: readonly string[]): string {
  const ran = Bun.spawnSync([...argv], {
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TERM: "dumb" },
    cwd: folder,
  });
  if (ran.stderr.length > 0) throw new Error(ran.stderr.toString());
  return ran.stdout.toString();
}
const missing = (shell: string) => (Bun.which(shell) ? undefined : `this machine has no ${shell}`);

describe("bash", () => {
  const complete = (...words: readonly string[]) =>
    ask([
      "bash",
      "--norc",
      "-c",
      'source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _mountain_shelter; printf "%s\\n" "${COMPREPLY[@]}"',
      "bash",
      ...words,
    ])
      .trim()
      .split("\n");
  const test_ = testUnless(missing("bash"));
  test_("subcommands and scripts after shelter", () => {
    expect(complete("shelter", "")).toEqual([
      "status",
      "completions",
      "03_install_models",
      "--plan",
      "--home",
    ]);
    expect(complete("./bin/08_shelter_cli", "st")).toEqual(["status"]);
  });
  test_("words and flags of a subcommand, and of a script by its own name", () => {
    expect(complete("shelter", "completions", "")).toEqual(["bash", "zsh"]);
    expect(complete("./bin/03_install_models", "--p")).toEqual(["--plan"]);
    expect(complete("shelter", "03_install_models", "--p")).toEqual(["--plan"]);
  });
  test_("a file where a flag takes a value", () => {
    expect(complete("shelter", "status", "--home", "fi")).toEqual(["fish"]);
  });
});

describe("fish", () => {
  const complete = (line: string) =>
    ask([
      "fish",
      "--no-config",
      "-c",
      `source ./fish; complete --do-complete ${JSON.stringify(line)}`,
    ])
      .trim()
      .split("\n")
      .map((one) => one.split("\t")[0]);
  const test_ = testUnless(missing("fish"));
  test_("subcommands, their words and a script's flags", () => {
    expect(complete("shelter st")).toEqual(["status"]);
    expect(complete("shelter completions ")).toEqual(["bash", "zsh"]);
    expect(complete("03_install_models --p")).toEqual(["--plan"]);
    expect(complete("08_shelter_cli 03_install_models --p")).toEqual(["--plan"]);
  });
});

describe("zsh", () => {
  // compsys only works in a terminal: _describe, _files and compdef are stood in for, so that what would be offered can be read
  const complete = (...words: readonly string[]) =>
    ask([
      "zsh",
      "-f",
      "-c",
      'compdef() { :; }; _describe() { print -rl -- ${(P)4}; }; _files() { print files; }; source ./zsh; words=("$@"); CURRENT=$#; _mountain_shelter',
      "zsh",
      ...words,
    ])
      .trim()
      .split("\n")
      .filter((line) => line !== "");
  const test_ = testUnless(missing("zsh"));
  test_("each word with its summary, colons escaped", () => {
    expect(complete("shelter", "")).toEqual([
      "status:Don't panic\\: it's all here",
      "completions:$(touch /tmp/never) `id`",
      "03_install_models:Models",
      "--plan:Show it\\: what's to do [and not]",
      "--home:The home",
    ]);
    expect(complete("./bin/shelter", "completions", "")).toEqual(["bash:for bash", "zsh:for zsh"]);
    expect(complete("03_install_models", "--")).toEqual([
      "--plan:Show it\\: what's to do [and not]",
      "--home:The home",
    ]);
  });
  test_("a file where a flag takes a value", () => {
    expect(complete("shelter", "status", "--home", "")).toEqual(["files"]);
  });
});

test("no script runs what stands in a summary", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, VOCABULARY);
    const inSingleQuotes = /'[^']*\$\(touch \/tmp\/never\)[^']*'/.test(script);
    expect([shell, inSingleQuotes || !script.includes("touch")]).toEqual([shell, true]);
  }
});
