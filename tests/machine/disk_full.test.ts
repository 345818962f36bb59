/** A disk that is full: the error names the file, its file system, and a command that can be typed. */
import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readable, ShelterError } from "../../lib/errors.ts";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { FAKE_HOME, fakeMachine } from "../support/fake_machine.ts";
import { needsRoot, testUnless } from "../support/left_out.ts";
import { smallDisk } from "../support/mounts.ts";

/** Bytes of the smallest tmpfs: one page. */
const DISK = 4096;

for (const how of ["appendLine", "appendText"] as const) {
  testUnless(needsRoot)(`${how} says where there was no room`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "shelter-full-"));
    const disk = await smallDisk(join(folder, "disk"), `size=${DISK}`);
    const full = disk.outside(join(disk.folder, "x.log"));
    writeFileSync(full, "x".repeat(DISK - 1).concat("\n"));
    const file = `${FAKE_HOME}/logs/x.log`;
    const world = fakeMachine({ files: { [file]: { link: full } } });
    try {
      const act = createAct(world.machine, createProbe(world.machine, FAKE_HOME, "testhost"));
      let said: unknown;
      try {
        act[how](file, "more");
      } catch (error) {
        said = readable(error);
      }
      expect(said).toBeInstanceOf(ShelterError);
      const { id, what, why, fix } = said as ShelterError;
      expect(id).toBe("disk-full");
      expect(what).toEndWith(` ${file}`);
      expect(why).toBe(`the disk is full: the file system of ${FAKE_HOME}/logs`);
      expect(fix).toEqual(["df", "-h", `${FAKE_HOME}/logs`]);
    } finally {
      world.dispose();
      await disk.end();
      rmSync(folder, { recursive: true });
    }
  });
}
