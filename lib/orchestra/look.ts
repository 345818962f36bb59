/** `shelter plan` and `shelter verify`: what `up` would do, and whether all that it did still holds. Both change nothing. */
import { onSignals } from "../cli/signals.ts";
import { layout, runHere } from "../cli.ts";
import { EXIT } from "../errors.ts";
import { errorLines, unaskedLines } from "../report/human.ts";
import { createVoice } from "../report/voice.ts";
import { printable } from "../report/text.ts";
import type { Outcome, RunReport } from "../unit.ts";
import {
  asJson,
  loadUnit,
  othersOf,
  wantFor,
  type Command,
  type Desk,
  type Spoken,
} from "./desk.ts";
import { unaskedOf } from "./summary.ts";
import { STAGES } from "./stages.ts";

export const plan: Command = (desk) => look(desk, "plan");
export const verify: Command = (desk) => look(desk, "verify");

async function look(desk: Desk, mode: "plan" | "verify"): Promise<Spoken> {
  const signal = onSignals(() => undefined);
  const say = await createVoice({
    json: desk.want["json"] === true,
    verbose: desk.want["verbose"] === true,
    env: process.env,
  });
  const shared = { others: othersOf(desk.units), signal, say };
  const runs: RunReport[] = [];
  for (const { script, want } of STAGES) {
    signal.throwIfAborted();
    const unit = await loadUnit(desk.units, script);
    const wanted = await wantFor(unit, desk.want, { ...want, [mode]: true });
    runs.push(await runHere(unit, desk.machine, desk.place, wanted, shared));
  }
  const outcome = together(runs);
  const { paint, columns, verbose } = layout(desk.want["verbose"] === true);
  const view = { paint, columns, verbose };
  return {
    exit: EXIT[outcome],
    json: asJson({ schema: 1, host: desk.place.host, outcome, runs }),
    lines: [
      ...runs.flatMap((run) => [
        `${paint(EXIT[run.outcome] === 0 ? "sage" : "copper", `  ${EXIT[run.outcome] === 0 ? "✓" : "→"} ${run.script}`)}  ${paint("steel", run.outcome === "converged" ? "holds" : run.outcome)}`,
        ...run.steps.map((step) => paint("steel", `      → ${printable(step.text)}`)),
        ...(run.error ? errorLines(run.error, view) : []),
        ...run.findings
          .filter((one) => one.level === "fail")
          .flatMap((one) => errorLines(one, view)),
      ]),
      "",
      ...unaskedLines(unaskedOf(runs), view),
    ],
  };
}

/** A script that is blocked may only wait for what an earlier one will make: pending changes outweigh it. */
function together(runs: readonly RunReport[]): Outcome {
  const outcomes = runs.map((run) => run.outcome);
  if (outcomes.includes("planned")) return "planned";
  return outcomes.find((outcome) => EXIT[outcome] !== 0) ?? "converged";
}
