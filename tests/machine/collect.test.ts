/** What a started program says: line by line, bounded, and whatever the listener does its end is seen. */
import { expect, test } from "bun:test";
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
