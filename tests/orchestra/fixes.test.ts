/** The best-known fix of each failure. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { knownFix, mayPass } from "../../lib/orchestra/fixes.ts";

const LIB = resolve(import.meta.dir, "../../lib");
const code = readdirSync(LIB, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && !name.startsWith("orchestra/fixes"))
  .map((name) => readFileSync(join(LIB, name), "utf8"))
  .join("\n");
const table = readFileSync(join(LIB, "orchestra/fixes.ts"), "utf8");
const named = [...table.matchAll(/^ {2}"([a-z]+(?:-[a-z]+)+)"[,:]/gm)].map(
  (match) => match[1] ?? "",
);

test("every failure in the tables is one that some part really reports", () => {
  expect(named.length).toBeGreaterThan(15);
  for (const id of named) expect([id, code.includes(`"${id}"`)]).toEqual([id, true]);
});

test("every failure has a next command, known or not", () => {
  for (const id of [...named, "never-heard-of"]) {
    const { advice, command } = knownFix("03_build_llama_cpp", id);
    expect([id, advice.length > 0, command.length > 0]).toEqual([id, true, true]);
  }
  expect(knownFix("00_check_structure", "never-heard-of").command).toEqual([
    "./bin/shelter",
    "logs",
    "00_check_structure",
  ]);
});

test("what the network did is not put on the compiler", () => {
  for (const id of ["fetch-failed", "no-source"]) {
    expect([id, knownFix("03_build_llama_cpp", id).advice]).toEqual([
      id,
      expect.stringContaining("the network, a proxy or a firewall"),
    ]);
  }
});

test("what is wrong by itself is never tried again", () => {
  for (const id of [
    "hash-differs",
    "source-differs",
    "build-failed",
    "build-differs",
    "disk-full",
    "bug",
    "not-confirmed",
  ]) {
    expect([id, mayPass(id)]).toEqual([id, false]);
  }
});
