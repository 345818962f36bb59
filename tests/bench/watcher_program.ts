/** The watcher as a process of its own, so that its memory and its time are its own: `watcher_program.ts HOME HOST`. */
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createNotifier } from "../../lib/machine/notify.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { runWatcher } from "../../lib/watch/run.ts";

const [home = "", host = ""] = process.argv.slice(2);
const stopping = new AbortController();
process.on("SIGTERM", () => stopping.abort(new Error("told to stop")));
const machine = thisMachine();
const probe = createProbe(machine, home, host);
const nothing = () => undefined;
await runWatcher(
  {
    probe,
    act: createAct(machine, probe),
    signal: stopping.signal,
    say: { line: (text) => console.log(text), detail: nothing, progress: nothing, stream: nothing },
  },
  await createNotifier(),
);
