/** Which mode each entry of a home should have, and what of the scratch space is old. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { isPrivate, wrongMode } from "../../lib/home/modes.ts";
import { oldWork } from "../../lib/home/work.ts";
import { inHome } from "../../lib/keep/home.ts";
import type { Entry } from "../../lib/machine/probe.ts";
import { GATEWAY_KEY } from "../../lib/trust/store.ts";

const HOME = "/home/op/home";
const within = (path: string) => path.slice(HOME.length + 1);
const identity = (name: string) => within(inHome.identity(HOME, name));

const judged = (relative: string, kind: "file" | "dir", mode: number) => {
  const found = wrongMode(relative, { kind, mode });
  return found && `${found.mode.toString(8)} ${found.fault}`;
};

test("each kind of entry gets the mode that it should have, and the reason", () => {
  expect(judged("shared.cfg", "file", 0o644)).toBe("600 open-record");
  expect(judged("shared.cfg.damaged-20260101T000000Z", "file", 0o600)).toBeUndefined();
  expect(judged("logs/journal/phantom/00000000.jsonl", "file", 0o640)).toBe("600 open-record");
  expect(judged("logs", "dir", 0o755)).toBe("700 open-folder");
  expect(judged("models", "dir", 0o755)).toBe("700 open-folder");
  expect(judged("models/a.gguf", "file", 0o644)).toBeUndefined();
  expect(judged("models/a.gguf", "file", 0o664)).toBe("644 writable");
  expect(judged("scripts/x.ts", "file", 0o777)).toBe("755 writable");
  expect(judged("scripts", "dir", 0o775)).toBe("755 writable");
  expect(judged("", "dir", 0o775)).toBe("755 writable");
  expect(judged("", "dir", 0o755)).toBeUndefined();
  expect(judged("bin/shelter", "file", 0o4755)).toBe("755 set-id");
  expect(judged("agents/api-key", "file", 0o644)).toBe("600 open-secret");
  expect(judged("agents/deep/.env", "file", 0o600)).toBeUndefined();
  expect(judged("status", "dir", 0o500)).toBe("700 locked-out");
  expect(judged("shared.cfg", "file", 0o000)).toBe("600 locked-out");
});

test("the private keys, whom this host believes and the keys of running engines are shut, wherever the home keeps them", () => {
  for (const [path, folder] of [
    [inHome.identity(HOME, "mirror"), inHome.identity(HOME)],
    [inHome.trust(HOME, "shadow"), inHome.trust(HOME)],
    [inHome.keys(HOME, "engine-1"), inHome.keys(HOME)],
  ] as const) {
    expect(judged(within(path), "file", 0o644)).toBe("600 open-secret");
    expect(judged(within(path), "file", 0o666)).toBe("600 writable");
    expect(judged(within(path), "file", 0o600)).toBeUndefined();
    expect(judged(within(folder), "dir", 0o755)).toBe("700 open-folder");
  }
  // ssh's own rule is about the private halves; the others are nobody else's business either
  expect(judged(identity("mirror.pub"), "file", 0o644)).toBe("600 open-secret");
});

test("what only looks like a secret is left alone, and so are links and sockets", () => {
  for (const name of [
    "agents/id_rsa.pub",
    "venv/a/lib/certifi/cacert.pem",
    "agents/.env.example",
    "lib/monkey.ts",
    "agents/keyboard",
  ]) {
    expect([name, isPrivate(name, "file")]).toEqual([name, false]);
  }
  for (const name of [
    "agents/id_ed25519",
    ...["mirror", "witness", "operator", "signing", GATEWAY_KEY].map(identity),
    "runtime/trust/shadow.json",
    within(inHome.keys(HOME, "engine-1")),
    "agents/restic-password",
    "x/server.key",
    ".env.local",
  ]) {
    expect([name, isPrivate(name, "file")]).toEqual([name, true]);
  }
  expect(wrongMode("logs/x", { kind: "link", mode: 0o777 })).toBeUndefined();
  expect(wrongMode("logs/x", { kind: "other", mode: 0o777 })).toBeUndefined();
});

test("whatever the mode and the name, one change is enough, and nobody is ever let in", () => {
  const name = fc.constantFrom(
    "",
    "logs",
    "logs/a",
    "models/b",
    "bin/c",
    "x/y.key",
    "runtime/locks/z",
    "shared.cfg",
    "any/thing",
  );
  fc.assert(
    fc.property(
      name,
      fc.constantFrom("file" as const, "dir" as const),
      fc.integer({ min: 0, max: 0o7777 }),
      (relative, kind, mode) => {
        const want = wrongMode(relative, { kind, mode })?.mode ?? mode;
        expect(wrongMode(relative, { kind, mode: want })).toBeUndefined();
        expect(want & 0o022).toBe(0);
        expect(want & 0o077 & ~mode).toBe(0);
        if (kind === "file") expect(want & 0o6000).toBe(0);
      },
    ),
    { numRuns: 3000 },
  );
});

const DAY = 86_400_000;
const entry = (path: string, age: number, size = 10, kind: Entry["kind"] = "file"): Entry => ({
  path: `/h/work/${path}`,
  kind,
  mode: 0o600,
  size,
  mtime: 100 * DAY - age * DAY,
  ctime: 100 * DAY - age * DAY,
  inode: 1,
  device: 1,
  links: 1,
  uid: 0,
  gid: 0,
});
const old = (entries: readonly Entry[], days = 14) =>
  oldWork(entries, 100 * DAY, days, "/h/work").old.map(({ path, bytes }) => `${path} ${bytes}`);

test("scratch space ages as a whole, downloads one by one, and exactly at its age it still stays", () => {
  const tree = [
    entry("build", 90, 0, "dir"),
    entry("build/a.o", 90),
    entry("build/src", 90, 0, "dir"),
    entry("build/src/b.o", 2),
  ];
  expect(old(tree)).toEqual([]);
  expect(old([...tree.slice(0, 3), entry("build/src/b.o", 15)])).toEqual(["/h/work/build 20"]);
  const fetched = [
    entry("fetch", 90, 0, "dir"),
    entry("fetch/aa", 90, 0, "dir"),
    entry("fetch/aa/part", 20),
    entry("fetch/bb", 90, 0, "dir"),
    entry("fetch/bb/part", 1),
  ];
  expect(old(fetched)).toEqual(["/h/work/fetch/aa 10"]);
  expect(old([entry("x", 14)])).toEqual([]);
  expect(old([entry("x", 14.01)])).toEqual(["/h/work/x 10"]);
  expect(old([entry("x", -3)])).toEqual([]);
  expect(old([entry("x", 4)], 3)).toEqual(["/h/work/x 10"]);
});
