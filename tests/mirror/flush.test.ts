/** What arrives is brought to the disk while more arrives. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { flush, flushWhile } from "../../lib/mirror/receive/flush.ts";
import type { Ran } from "../../lib/machine/process.ts";

const ran = (code: number, stderr = ""): Ran => ({ code, stderr, stdout: "", timedOut: false });

/** A machine whose `sync` ends with `code`, and what it was asked for. */
function machine(code = 0, stderr = "") {
  const asked: string[] = [];
  const run = async (argv: readonly string[]) => {
    asked.push(argv.join(" "));
    return Promise.resolve(ran(code, stderr));
  };
  return { asked, act: { run, real: (path: string) => `/real${path}` } };
}

test("while work goes on the disk is flushed again and again; what the work gave is given", async () => {
  const { act, asked } = machine();
  const given = await flushWhile(
    act,
    "/home/mirror",
    Bun.sleep(2600).then(() => 7),
  );
  expect(given).toBe(7);
  expect(asked.length).toBeGreaterThan(0);
  expect([...new Set(asked)]).toEqual(["sync --file-system /real/home/mirror"]);
});

test("work that is over at once waits for no flush", async () => {
  const { act, asked } = machine();
  await flushWhile(act, "/", Promise.resolve(1));
  expect(asked).toEqual([]);
});

test("a process whose work is over ends at once: the sender waits for it", async () => {
  const code = `
    const { flushWhile } = await import(${JSON.stringify(join(import.meta.dir, "../../lib/mirror/receive/flush.ts"))});
    const act = { run: () => process.exit(3), real: (path) => path };
    await flushWhile(act, "/", Bun.sleep(50));`;
  const began = performance.now();
  const child = Bun.spawn([process.execPath, "-e", code], { stdio: ["ignore", "ignore", "pipe"] });
  expect(await child.exited).toBe(0);
  expect(performance.now() - began).toBeLessThan(1500);
});

test("work that fails fails as itself, also where the disk can't be flushed", async () => {
  const { act } = machine(1);
  const failing = Bun.sleep(2300).then(() => {
    throw new Error("cut");
  });
  await expect(flushWhile(act, "/", failing)).rejects.toThrow("cut");
});

test("the commit's own flush says why it could not be", async () => {
  const { act } = machine(1, "sync: error: Input/output error\n");
  await expect(flush(act, "/x")).rejects.toThrow(/Input\/output error/);
});
