/** Makes a run that ended look, on disk, like one that was killed right after its last act. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { inHome } from "../../lib/keep/home.ts";
import { FAKE_HOME, type FakeWorld } from "./fake_machine.ts";

/** The journal's first file. */
export const JOURNAL = join(inHome.journal(FAKE_HOME, "testhost"), "00000000.jsonl");

/** Takes the last line off the journal, and with it all that tells that the run ended. Returns the run's name. */
export function cutOff(world: FakeWorld): string {
  const lines = world.read(JOURNAL).trimEnd().split("\n");
  const { run } = JSON.parse(lines.at(-1) ?? "") as { readonly run: string };
  world.write(JOURNAL, `${lines.slice(0, -1).join("\n")}\n`);
  rmSync(world.path(join(inHome.snapshots(FAKE_HOME, run), "left.json")), { force: true });
  rmSync(world.path(join(FAKE_HOME, "status")), { recursive: true, force: true });
  rmSync(world.path(inHome.history(FAKE_HOME)), { force: true });
  return run;
}
