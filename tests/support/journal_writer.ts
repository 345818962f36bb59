/** Appends entries to a home's journal as fast as it can: `bun journal_writer.ts HOME COUNT`. */
import { appendEntry } from "../../lib/keep/journal.ts";
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";

const [home = "", count = "0"] = process.argv.slice(2);
const probe = createProbe(thisMachine(), home, "testhost");
const act = createAct(thisMachine(), probe);
for (let n = 0; n < Number(count); n++) {
  const run = `${process.pid}-${n}`;
  await appendEntry(probe, act, { kind: "begin", run, script: "02_scaffold_dirs", steps: [] });
}
