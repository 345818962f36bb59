/** The command line: what is taken, what is refused, and that values stay data. */
import { expect, test } from "bun:test";
import { readArgs, SHARED_FLAGS, wantsJson } from "../../lib/cli/flags.ts";
import { UsageError } from "../../lib/errors.ts";
import type { Flag } from "../../lib/unit.ts";
import { unit as build } from "../../scripts/03_build_llama_cpp.ts";

const FLAGS: Readonly<Record<string, Flag>> = {
  model: { type: "string", description: "A model", valueHint: "NAME" },
  ...SHARED_FLAGS,
};
const read = (...argv: string[]) => readArgs("03_install_models", FLAGS, argv);

test("flags by name, with = and with a space", async () => {
  expect(await read("--plan", "--model", "a b;$(x)", "--home=/tmp/ä")).toMatchObject({
    plan: true,
    model: "a b;$(x)",
    home: "/tmp/ä",
  });
});

test("an unknown flag, a stray word, a missing value and two modes at once are refused with the next command", async () => {
  for (const argv of [
    ["--nope"],
    ["-x"],
    ["stray"],
    ["--model"],
    ["--model="],
    ["--plan", "--undo"],
    ["--__proto__", "x"],
  ]) {
    const error: unknown = await read(...argv).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).fix).toEqual(["./bin/03_install_models", "--help"]);
  }
});

test("a value that a flag can't take is wrong usage, before anything is looked at", async () => {
  const { flags = {} } = build;
  for (const value of ["x", "0", "-1", "1.5", "1025"]) {
    const error: unknown = await readArgs(build.id, flags, [`--jobs=${value}`]).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toContain("1 to 1024");
    expect((error as UsageError).fix).toEqual(["./bin/03_build_llama_cpp", "--help"]);
  }
  expect(await readArgs(build.id, flags, ["--jobs", "4"])).toEqual({ jobs: "4" });
});

test("a JSON document is wanted in whatever form the flag is written, and the last word counts", () => {
  const cases: readonly (readonly [words: string, wanted: boolean])[] = [
    ["--json", true],
    ["--nope --json=true", true],
    ["--json=1", true],
    ["--json=false", false],
    ["--json --no-json", false],
    ["--no-json --json", true],
    ["-- --json", false],
    ["--jsonx", false],
    ["", false],
  ];
  for (const [words, wanted] of cases) {
    expect([words, wantsJson(words.split(" "))]).toEqual([words, wanted]);
  }
});
