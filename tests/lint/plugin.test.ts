/** The layer rule and the bans, by planting each violation in a tree of its own and running the real linter with the real settings. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const REPOSITORY = resolve(import.meta.dir, "../..");

/** File, content, and the rule that must object; "none" where none of ours may. */
const PLANTED: readonly (readonly [file: string, content: string, rule: string])[] = [
  // the world, outside lib/machine
  ["lib/report/a1.ts", 'import { spawn } from "node:child_process";', "shelter/layers"],
  ["lib/report/a2.ts", 'import { writeFileSync } from "fs";', "shelter/layers"],
  ["lib/report/a3.ts", 'export const fs = await import("node:fs/promises");', "shelter/layers"],
  ["lib/report/a4.ts", 'export { connect } from "node:net";', "shelter/layers"],
  ["lib/report/a5.ts", 'import { $ } from "bun";', "shelter/layers"],
  ["lib/report/a6.ts", 'export const zx = await import("zx");', "shelter/layers"],
  ["lib/report/a7.ts", "export const it = (name: string) => import(name);", "shelter/layers"],
  ["lib/report/a8.ts", 'export * from "node:http";', "shelter/layers"],
  ["lib/report/a9.ts", 'import type { Stats } from "node:fs";\nexport type Mine = Stats;', "none"],
  ["lib/report/b1.ts", 'export const p = Bun.spawn(["true"]);', "shelter/world"],
  ["lib/report/b2.ts", 'export const p = Bun["write"]("x", "y");', "shelter/world"],
  ["lib/report/b3.ts", "const mine = Bun;\nexport default mine;", "shelter/world"],
  ["lib/report/b4.ts", 'export const r = fetch("https://example.org");', "no-restricted-globals"],
  [
    "lib/report/b5.ts",
    'export const r = globalThis.fetch("https://example.org");',
    "shelter/world",
  ],
  ["lib/report/b6.ts", "export const k = () => process.kill(1);", "shelter/world"],
  ["lib/report/b7.ts", "export const w = Bun.stringWidth;", "none"],
  ["lib/machine/c1.ts", 'import { spawn } from "node:child_process";\nexport { spawn };', "none"],
  ["scripts/c2.ts", 'import { rmSync } from "node:fs";', "shelter/layers"],
  ["scripts/build.ts", 'import { rmSync } from "node:fs";\nexport { rmSync };', "none"],
  // downward only
  ["lib/machine/d1.ts", 'import { a } from "../keep/a.ts";', "shelter/layers"],
  ["lib/machine/d2.ts", 'export const late = import("../report/a.ts");', "shelter/layers"],
  ["lib/keep/d3.ts", 'import { a } from "../report/a.ts";', "shelter/layers"],
  ["lib/facts/d4.ts", 'import { a } from "../keep/a.ts";', "shelter/layers"],
  ["lib/facts/d5.ts", 'import { join } from "node:path";', "shelter/layers"],
  ["lib/facts/d6.ts", 'import type { A } from "../unit.ts";\nexport type B = A;', "none"],
  ["lib/facts/d7.ts", 'import { type A, b } from "../unit.ts";', "shelter/layers"],
  ["lib/llm/d8.ts", 'import { a } from "../../scripts/a.ts";', "shelter/layers"],
  ["lib/llm/d9.ts", 'import { a } from "../../tests/support/a.ts";', "shelter/layers"],
  ["lib/llm/e1.ts", 'import { inHome } from "../keep/home.ts";\nexport { inHome };', "none"],
  ["lib/llm/e2.ts", 'import { parse } from "yaml";', "shelter/layers"],
  ["lib/llm/e3.ts", 'export const yaml = () => import("yaml");', "none"],
  // dangerous patterns
  ["lib/llm/f1.ts", 'export const x = eval("1");', "no-eval"],
  ["lib/llm/f2.ts", 'export const x = new Function("1");', "no-new-func"],
  ["lib/machine/f3.ts", 'import { execSync } from "node:child_process";', "shelter/dangers"],
  ["lib/machine/f4.ts", "export const o = { shell: true };", "shelter/dangers"],
  ["lib/machine/f5.ts", 'export const o = { "shell": "/bin/sh" };', "shelter/dangers"],
  ["lib/llm/f6.ts", "export const r = Math.random();", "shelter/dangers"],
  ["lib/llm/f7.ts", 'export const u = "http://example.org/x";', "shelter/dangers"],
  ["lib/llm/f8.ts", "export const u = (h: string) => `http://example.${h}`;", "shelter/dangers"],
  ["lib/llm/f9.ts", 'export const u = ["http://127.0.0.1:1/", "http://localhost"];', "none"],
  ["lib/llm/g1.ts", 'export const u = "http://127.0.0.1.example.org/";', "shelter/dangers"],
  ["lib/llm/g2.ts", "export const t = { rejectUnauthorized: false };", "shelter/dangers"],
  ["lib/machine/g3.ts", "export const m = { mode: 0o666 };", "shelter/dangers"],
  ["lib/machine/g4.ts", "export const m = { mode: 0o755 };", "none"],
  [
    "lib/machine/g5.ts",
    'import { createHash } from "node:crypto";\nexport const h = createHash("md5");',
    "shelter/dangers",
  ],
  ["lib/llm/g6.ts", 'export const t = "/tmp/shelter";', "shelter/dangers"],
  // needs types
  ["lib/llm/h1.ts", "export function f() {\n  Promise.resolve(1);\n}", "no-floating-promises"],
  ["lib/llm/h2.ts", "export const f = (x: any) => x;", "no-explicit-any"],
];

let tree = "";
let objections: ReadonlyMap<string, string>;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), "shelter-lint-"));
  mkdirSync(join(tree, "tests"));
  cpSync(join(REPOSITORY, "tests/lint"), join(tree, "tests/lint"), { recursive: true });
  cpSync(join(REPOSITORY, ".oxlintrc.json"), join(tree, ".oxlintrc.json"));
  cpSync(join(REPOSITORY, "tsconfig.json"), join(tree, "tsconfig.json"));
  symlinkSync(join(REPOSITORY, "node_modules"), join(tree, "node_modules"));
  for (const [file, content] of PLANTED) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), `${content}\n`);
  }
  const program = join(tree, "node_modules/oxlint/bin/oxlint");
  const ran = Bun.spawnSync(
    [process.execPath, program, "--type-aware", "-f", "unix", "lib", "scripts"],
    {
      cwd: tree,
      env: { ...process.env, BUN_BE_BUN: "1" },
    },
  );
  const found = new Map<string, string>();
  for (const line of ran.stdout.toString().split("\n")) {
    const [file = ""] = line.split(":");
    found.set(file, `${found.get(file) ?? ""}${line}\n`);
  }
  objections = found;
}, 60_000);

afterAll(() => rmSync(tree, { recursive: true, force: true }));

test.each(PLANTED)("%s: %s", (file, _content, rule) => {
  const said = objections.get(file) ?? "";
  if (rule === "none") expect(said).not.toContain("shelter(");
  else expect(said).toContain(rule.includes("/") ? rule.replace("/", "(") : `(${rule})`);
});
