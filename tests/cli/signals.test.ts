/** A reader that goes away does not end a run midway. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SIGNALS = join(import.meta.dir, "../../lib/cli/signals.ts");

test("what listens for signals also goes on where nobody reads its output any more", async () => {
  const folder = mkdtempSync(join(tmpdir(), "shelter-signals-"));
  try {
    const done = join(folder, "done");
    const program = `
      const { onSignals } = await import(${JSON.stringify(SIGNALS)});
      onSignals(() => undefined);
      process.stdout.write("ready\\n");
      for await (const _ of process.stdin) {}
      for (let line = 0; line < 50; line++) {
        process.stdout.write("x".repeat(10_000) + "\\n");
        await Bun.sleep(2);
      }
      await Bun.write(${JSON.stringify(done)}, "");
      process.exit(7);
    `;
    const child = Bun.spawn([process.execPath, "-e", program], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel(); // its output has no reader now
    await child.stdin.end();
    const code = await child.exited;
    expect([code, await new Response(child.stderr).text()]).toEqual([7, ""]);
    expect(existsSync(done)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 20_000);
