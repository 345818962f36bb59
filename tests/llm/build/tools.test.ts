/** Readers of what compilers and builders say, on real output. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseBuildInfo } from "../../../lib/llm/builds.ts";
import { progressOf } from "../../../lib/llm/build/compile.ts";
import { PINS } from "../../../lib/llm/build/pins.ts";
import { compare } from "../../../lib/llm/build/prove.ts";
import { keepsTileConfig, parseTarget } from "../../../lib/llm/build/toolchain.ts";
import { firstLine, lastLines } from "../../../lib/llm/build/words.ts";

const recorded = (name: string) => Bun.file(`${import.meta.dir}/recorded/${name}`).text();

describe("the compiler", () => {
  test("what native means to GCC 12.2 on a virtual machine with AVX-512 and AMX", async () => {
    const { architecture, native } = parseTarget(await recorded("gcc-12.2-amx-target.txt"));
    expect(architecture).toBe("rocketlake");
    expect(native).toEqual(
      expect.arrayContaining(["-mavx2", "-mavx512f", "-mamx-int8", "-mamx-tile"]),
    );
    expect(native).not.toContain("-m32");
    expect(native).toEqual(native.toSorted());
  });
  test("GCC 12.2 drops the stores that set the matrix unit up", async () => {
    expect(keepsTileConfig(await recorded("gcc-12.2-amx.s"))).toBe(false);
  });
  test("a compiler that stores the argument is trusted", () => {
    // what GCC 14 prints of the same function, by the System V ABI: the argument arrives in %edi
    const sound =
      "check:\n\tmovb\t$1, -64(%rsp)\n\tmovb\t%dil, -16(%rsp)\n\tldtilecfg\t-64(%rsp)\n";
    expect(keepsTileConfig(sound)).toBe(true);
    expect(keepsTileConfig(sound.replace("ldtilecfg", "nop"))).toBe(false);
  });
  test("nothing else is understood as something", () => {
    expect(parseTarget("")).toEqual({ architecture: "unknown", native: [] });
    fc.assert(
      fc.property(fc.string(), (text) => parseTarget(text).native.every((one) => one !== "")),
    );
  });
});

test("progress lines of ninja and make", () => {
  expect(progressOf("[12/225] Building CXX object src/x.cpp.o")).toEqual({
    ...{ done: 12, total: 225, unit: "files" },
  });
  expect(progressOf("[  7%] Building CXX object src/x.cpp.o")).toEqual({
    ...{ done: 7, total: 100, unit: "%" },
  });
  expect(progressOf("/usr/include/x.h:12: warning: [1/2]")).toBeUndefined();
  expect(progressOf("[100%] Built target llama")?.done).toBe(100);
});

describe("the reference", () => {
  const positions = PINS.reference.passages.flatMap(({ text, next }) =>
    next.map((one) => ({ ...one, text })),
  );
  test("has enough positions, each at the end of a word of its passage", () => {
    expect(positions.length).toBeGreaterThan(100);
    for (const { text, at, token } of positions) {
      expect(text[at]).toBe(" ");
      expect(token).not.toBe("");
    }
  });
  test("one token in ten may differ, no more", () => {
    const expected = Array.from({ length: 20 }, (_, index) => String(index));
    const wrong = (count: number) => expected.map((one, index) => (index < count ? "?" : one));
    expect(compare("x", wrong(0), expected, "the reference's")).toBe(20);
    expect(compare("x", wrong(2), expected, "the reference's")).toBe(18);
    expect(() => compare("x", wrong(3), expected, "the reference's")).toThrow("only 17 of 20");
    expect(() => compare("x", [], expected, "the reference's")).toThrow("only 0 of 20");
  });
});

test("a build-info with anything wrong is none", () => {
  const good = {
    ...{ schema: 1, id: "b-000000000001", tag: "v0", commit: "c", tree: "t", backends: ["cpu"] },
    ...{ flags: [], inputs: {}, asked: { with: [], without: [] }, generator: "Ninja", jobs: 1 },
    ...{ ccache: true, started: "2026-01-01", took_ms: 1 },
    files: { "bin/x": { sha256: "a", bytes: 1 } },
  };
  expect(parseBuildInfo(good)?.id).toBe("b-000000000001");
  const wrong: readonly object[] = [
    { schema: 2 },
    { id: 1 },
    { files: { "../x": { sha256: "a", bytes: 1 } } },
    { files: { "/etc/passwd": { sha256: "a", bytes: 1 } } },
    { files: { "bin/x": { sha256: "a" } } },
    { flags: [1] },
    { asked: {} },
    { took_ms: -1 },
    { inputs: [] },
  ];
  for (const change of wrong) expect(parseBuildInfo({ ...good, ...change })).toBeUndefined();
  fc.assert(fc.property(fc.anything(), (value) => parseBuildInfo(value) === undefined));
});

test("words of programs", () => {
  expect(firstLine("\n  one \ntwo")).toBe("one");
  expect(lastLines("a\n\nb\nc\n", 2)).toBe("b | c");
  expect(lastLines("", 2)).toBe("it said nothing");
});
