/** A pipe that is made to hold more. */
import { expect, test } from "bun:test";
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { widenPipe } from "../../lib/machine/pipe.ts";

test("a pipe takes more than the kernel's 64 KiB before anybody reads, and what is no pipe is left alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "shelter-pipe-"));
  const path = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const file = openSync(join(folder, "file"), "w");
  try {
    const held = await widenPipe(pipe);
    expect(held).toBe(1024 * 1024);
    expect(writeSync(pipe, Buffer.alloc(2 * held))).toBe(held);
    expect(await widenPipe(file)).toBe(0);
  } finally {
    closeSync(pipe);
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
});
