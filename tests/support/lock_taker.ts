/** A process that takes a lock and says so: `bun lock_taker.ts HOME NAME hold|block|once`. "block" keeps its event loop blocked, "once" lets go at once. */
import { createAct } from "../../lib/machine/act.ts";
import { thisMachine } from "../../lib/machine/machine.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { takeLock } from "../../lib/keep/lock.ts";

const [home = "", name = "", how = "once", file = ""] = process.argv.slice(2);
const machine = thisMachine();
const probe = createProbe(machine, home, "testhost");
const act = createAct(machine, probe);
const lock = await takeLock(probe, act, name, {
  script: "taker",
  wait: how === "count" ? 30_000 : 0,
});
if ("busy" in lock) {
  console.log(`busy ${lock.busy.pid} ${lock.age}`);
} else {
  console.log(`held ${process.pid}`);
  if (how === "block") for (const end = Date.now() + 14_000; Date.now() < end;);
  if (how === "hold") await new Promise((resolve) => setTimeout(resolve, 60_000));
  if (how === "count") {
    // not atomic on purpose: two holders at once would lose a count
    const before = Number(probe.text(file) ?? "0");
    await new Promise((resolve) => setTimeout(resolve, 5));
    act.write(file, String(before + 1));
  }
  await lock.release();
}
