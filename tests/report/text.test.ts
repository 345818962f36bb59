/** Text for people: outside text can't touch the terminal, numbers read well, tables line up. */
import * as fc from "fast-check";
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bytes,
  commandLine,
  duration,
  printable,
  printableLines,
  table,
  width,
  wrap,
} from "../../lib/report/text.ts";

test("no control character, escape or bidirectional override of outside text reaches a terminal", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/u);
      expect(printableLines(text).replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    }),
  );
  expect(printable("a\u001b[2Jb\u202ec\u009b1m")).toBe("a\\x1b[2Jb\\x202ec\\x9b1m");
  expect(printable("größe 7 µm 山")).toBe("größe 7 µm 山");
});

test("amounts", () => {
  expect([0, 1023, 1024, 1536, 98_362_432, 5 * 1024 ** 4].map(bytes)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "93.8 MiB",
    "5.0 TiB",
  ]);
  expect([3, 999, 1500, 185_000, 7_800_000, 356_400_000].map(duration)).toEqual([
    "3 ms",
    "999 ms",
    "1.5 s",
    "3 min 05 s",
    "2 h 10 min",
    "4 d 3 h",
  ]);
});

test("columns line up by what a terminal shows, not by code units", () => {
  const lines = table([
    ["山", "x"],
    ["ab", "y"],
    ["abc", "z"],
  ]);
  expect(lines.map((line) => width(line.slice(0, line.search(/[xyz]$/))))).toEqual([5, 5, 5]);
});

test("wrapped text keeps every word and its order", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,12}$/)),
      fc.integer({ min: 5, max: 40 }),
      (words, columns) => {
        const lines = wrap(words.join(" "), columns);
        expect(lines.join(" ")).toBe(words.join(" "));
        for (const line of lines) expect(line.length <= columns || !line.includes(" ")).toBe(true);
      },
    ),
  );
});

test("a command line can be copied to a shell and means the same words", () => {
  // words that come through unquoted may be redirections: the shell would make files of such names where it stands
  const cwd = mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "shelter-shell-"));
  const word = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0"));
  try {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
        const line = `printf '%s\\0' ${commandLine(words)}`;
        const ran = Bun.spawnSync(["bash", "-c", line], { cwd });
        expect(ran.stdout.toString().split("\0").slice(0, -1)).toEqual([...words]);
      }),
      { numRuns: 40 },
    );
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
});
