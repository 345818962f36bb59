/** Modes and owners are set on the very entry, never through a link. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setMode, setOwner } from "../../lib/machine/attributes.ts";

let home = "";
let outside = "";
beforeEach(() => {
  const top = mkdtempSync(join(tmpdir(), "shelter-attributes-"));
  home = join(top, "a home");
  outside = join(top, "outside");
  mkdirSync(join(home, "logs"), { recursive: true });
  mkdirSync(outside, { mode: 0o755 });
  writeFileSync(join(outside, "theirs"), "x", { mode: 0o644 });
});
afterEach(() => rmSync(join(home, ".."), { recursive: true }));

const modeOf = (path: string) => statSync(path).mode & 0o7777;
const codeOf = (act: () => void) => {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

test("the mode of a file or folder is set, also where its owner may not read it", () => {
  const file = join(home, "logs", "a\nb.log");
  writeFileSync(file, "x", { mode: 0 });
  setMode(home, file, 0o600);
  expect(modeOf(file)).toBe(0o600);
  setMode(home, join(home, "logs"), 0o700);
  expect(modeOf(join(home, "logs"))).toBe(0o700);
  setMode(home, home, 0o710);
  expect(modeOf(home)).toBe(0o710);
});

test("what a link leads to is never changed, whether the link is the last name or one on the way", () => {
  symlinkSync(join(outside, "theirs"), join(home, "link"));
  symlinkSync(outside, join(home, "folder"));
  const tries = [join(home, "link"), join(home, "folder"), join(home, "folder", "theirs")];
  for (const path of tries) {
    expect([path, codeOf(() => setMode(home, path, 0o600))]).toEqual([
      path,
      path.endsWith("theirs") ? "ENOTDIR" : "ELOOP",
    ]);
    expect(codeOf(() => setOwner(home, path, { uid: 12345, gid: 12345 }))).toBeDefined();
  }
  expect(modeOf(join(outside, "theirs"))).toBe(0o644);
  expect(modeOf(outside)).toBe(0o755);
  expect(statSync(join(outside, "theirs")).uid).not.toBe(12345);
});

test("a home that is itself a link works, and what is not there is said", () => {
  const other = join(outside, "elsewhere");
  symlinkSync(home, other);
  setMode(other, join(other, "logs"), 0o700);
  expect(modeOf(join(home, "logs"))).toBe(0o700);
  expect(codeOf(() => setMode(home, join(home, "gone"), 0o600))).toBe("ENOENT");
});
