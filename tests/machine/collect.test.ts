/** What a started program says: line by line, bounded, and whatever the listener does its end is seen. */
import { expect, spyOn, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { collect, spawnProcess } from "../../lib/machine/process.ts";

const run = (script: string, onLine?: (line: string) => void) =>
  collect(spawnProcess, ["/bin/sh", "-c", script], {
    env: { PATH: "/usr/bin:/bin" },
    timeout: 10_000,
    keep: 1000,
    ...(onLine ? { onLine } : {}),
  });

test("a listener that throws ends the program, and its error is the run's", async () => {
  const began = performance.now();
  const ran = run("echo one; echo two; sleep 8", () => {
    throw new Error("no such line");
  });
  await expect(ran).rejects.toThrow("no such line");
  expect(performance.now() - began).toBeLessThan(5000);
});

test("lines come whole, the last one without an end too; of one that never ends only the end is kept", async () => {
  const lines: string[] = [];
  await run("printf 'a\\nb\\r\\nc'", (line) => void lines.push(line));
  expect(lines).toEqual(["a", "b", "c"]);
  const long: string[] = [];
  const ran = await run("head -c 5000000 /dev/zero | tr '\\0' x", (line) => void long.push(line));
  expect(ran.code).toBe(0);
  expect(long).toHaveLength(1);
  expect(long[0]?.length).toBe(64 * 1024);
  expect(ran.stdout).toHaveLength(1000);
});

test("a file is read as standard input from the byte that was said, also behind its end", async () => {
  const path = import.meta.path;
  const whole = await Bun.file(path).text();
  for (const from of [0, 10, whole.length + 5]) {
    const ran = await collect(spawnProcess, ["/bin/cat"], {
      env: { PATH: "/usr/bin:/bin" },
      inputFile: { path, from },
    });
    expect(ran.stdout).toBe(whole.slice(from));
  }
});

test("a program that is root's, as sudo is, can't be signalled: that ends neither the run nor us", async () => {
  const stop = new AbortController();
  const refuses = spyOn(process, "kill").mockImplementation(() => {
    throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
  });
  const unhandled: unknown[] = [];
  const note = (error: unknown) => unhandled.push(error);
  process.on("uncaughtException", note);
  try {
    const ran = collect(spawnProcess, ["/bin/sh", "-c", "sleep 0.3; echo over"], {
      env: { PATH: "/usr/bin:/bin" },
      signal: stop.signal,
    });
    stop.abort(new Error("Ctrl-C"));
    expect((await ran).stdout).toBe("over\n");
    expect(refuses).toHaveBeenCalled();
  } finally {
    process.off("uncaughtException", note);
    refuses.mockRestore();
  }
  expect(unhandled).toEqual([]);
});

test("Ctrl-C is heard while a file is read up to its place, and the program does not go on without it", async () => {
  const path = join(mkdtempSync(join(process.env["SHELTER_TEST_RUN"] ?? tmpdir(), "seek-")), "f");
  writeFileSync(path, "");
  truncateSync(path, 8 * 1024 ** 3); // a hole: it costs no disk, and seconds to read
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("Ctrl-C")), 50);
  const began = performance.now();
  const ran = await collect(spawnProcess, ["/bin/sleep", "20"], {
    env: { PATH: "/usr/bin:/bin" },
    signal: stop.signal,
    inputFile: { path, from: 8 * 1024 ** 3 },
  });
  rmSync(dirname(path), { recursive: true });
  expect(ran.code).toBe(143);
  expect(performance.now() - began).toBeLessThan(10_000); // the program alone sleeps for twice as long
});

test("a file that can't be read through leaves no handle open", async () => {
  const open = () => readdirSync("/proc/self/fd").length;
  const before = open();
  for (let turn = 0; turn < 5; turn++) {
    const ran = collect(spawnProcess, ["/bin/cat"], {
      env: { PATH: "/usr/bin:/bin" },
      inputFile: { path: "/tmp", from: 10 },
    });
    await expect(ran).rejects.toThrow("EISDIR");
  }
  expect(open()).toBe(before);
});
