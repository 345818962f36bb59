/** package.json, where a plain mistake would show only on another machine. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import manifest from "../package.json";

const REPOSITORY = resolve(import.meta.dir, "..");

test("no overrides: with one that names a file, the npm 9.2 of Debian 12 refuses every npx inside the clone", () => {
  expect(Object.keys(manifest)).not.toContain("overrides");
  expect(Object.keys(manifest.resolutions).length).toBeGreaterThan(0);
});

test("every version is exact", () => {
  for (const [name, version] of Object.entries({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })) {
    expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  }
});

test("the tests run on the Bun that everything is pinned to", () => {
  expect(Bun.version).toBe(manifest.devDependencies["bun-types"]);
});

test("the lock names no registry", () => {
  expect(readFileSync(join(REPOSITORY, "bun.lock"), "utf8")).not.toMatch(/https?:\/\//);
});

test("what a check needs runs on Bun itself, whatever Node is there", () => {
  for (const name of ["format", "format:check", "lint", "types", "unused"] as const) {
    expect(manifest.scripts[name]).toStartWith("bun --bun ");
  }
});

test("wherever a command names Bun's version, it is that one", () => {
  const pinned = manifest.devDependencies["bun-types"];
  for (const file of ["lefthook.yml", "README.md", ".ci/run"]) {
    const path = join(REPOSITORY, file);
    if (!existsSync(path)) continue;
    const named = [...readFileSync(path, "utf8").matchAll(/bun@(\d[\w.-]*)/g)].map(([, it]) => it);
    expect([file, [...new Set(named)].filter((one) => one !== pinned)]).toEqual([file, []]);
  }
});
