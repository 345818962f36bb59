/** `shelter up`: from a bare machine to a model's answer. It never touches kernel, firmware, services or the boot. */
import { onSignals } from "../cli/signals.ts";
import { layout, runHere } from "../cli.ts";
import { EXIT } from "../errors.ts";
import { pastRuns } from "../keep/journal.ts";
import { createAct } from "../machine/act.ts";
import { errorLines } from "../report/human.ts";
import { createVoice } from "../report/voice.ts";
import { duration, printable } from "../report/text.ts";
import type { Failure, Outcome, RunReport, ScriptId } from "../unit.ts";
import { answerOf, askModel, type Answer } from "./ask.ts";
import type { Standing } from "./board.ts";
import { conduct, type Conducted, type Conductor } from "./conduct.ts";
import { asJson, loadUnit, othersOf, textOf, wantFor, type Command, type Desk } from "./desk.ts";
import { installAsRoot } from "./packages.ts";
import { STAGES } from "./stages.ts";
import { WATCHER } from "../services/kind.ts";
import { boardFrom } from "./status.ts";
import { runLine, unaskedTogether, warningLines } from "./summary.ts";
import { suggestionsOf } from "./trends.ts";

const OWN: ScriptId = "08_shelter_cli";
/** Said after a failure; one that keeps coming back has its own words for what is next. */
const NEXT = "What was done before that stands: ./bin/shelter up goes on from there";
/** Short, and answered well by the smallest model of the catalogue. */
const QUESTION = "What is a mountain shelter? Answer in one sentence.";

export const up: Command = async (desk) => {
  const { machine, place, probe, want, units } = desk;
  const began = performance.now();
  const verbose = want["verbose"] === true;
  const say = await createVoice({ json: want["json"] === true, verbose, env: process.env });
  const signal = onSignals(() => say.line("Still taking back: please wait"));
  const shared = { others: othersOf(units), signal, say };
  // root was asked to bring the host up: missing Debian packages are part of that
  const installs = (script: ScriptId) =>
    machine.me.root && script === "01_validate_prereqs" ? { yes: true } : {};
  const conductor: Conductor = {
    load: (script) => loadUnit(units, script),
    run: async (unit, flags) => {
      const wanted = await wantFor(unit, want, { ...flags, ...installs(unit.id) });
      return runHere(unit, machine, place, wanted, shared);
    },
    past: (script) => pastRuns(probe, script),
    heard: (report) => say.line(runLine(report)),
    say,
    signal,
    again: want["again"] === true,
  };
  const act = createAct(machine, probe);
  const sequence = await withPackages(desk, conductor, await conduct(STAGES, conductor));
  let { outcome } = sequence;
  let error: Failure | undefined = sequence.halted;
  let answer: Answer | undefined;
  const question = textOf(want, "question");
  if (EXIT[outcome] === 0 && (outcome === "changed" || question !== undefined)) {
    say.line(`Asking it: ${question ?? QUESTION}`);
    const asked = await answerOf(
      () => askModel({ probe, act, say, signal }, { question: question ?? QUESTION }),
      signal,
    );
    if ("answer" in asked) answer = asked.answer;
    else [outcome, error] = [asked.outcome, asked.error];
  }
  if (EXIT[outcome] === 0) {
    const unit = await loadUnit(units, OWN);
    const own = await runHere(unit, machine, place, await wantFor(unit, want), shared);
    if (EXIT[own.outcome] !== 0) [outcome, error] = [own.outcome, own.error];
  }
  const took_ms = Math.round(performance.now() - began);
  const runs = sequence.runs;
  return {
    exit: EXIT[outcome],
    json: asJson({
      schema: 1,
      host: place.host,
      outcome,
      took_ms,
      runs,
      ...(answer ? { answer } : {}),
      ...(error ? { error } : {}),
    }),
    lines: [
      ...warningLines(runs, verbose),
      ...(error ? errorLines(error, layout(verbose)) : []),
      "",
      ...(await openLines(desk)),
      "",
      ...unaskedTogether(runs, suggestionsOf(pastRuns(probe), probe.now()), verbose),
      "",
      lastLine(outcome, runs, took_ms),
      ...(EXIT[outcome] === 0 || sequence.halted ? [] : [layout(false).paint("taupe", NEXT)]),
    ],
  };
};

/** Missing Debian packages: root has installed them by now; at a terminal, sudo may; otherwise the line to type is in the report. */
async function withPackages(
  desk: Desk,
  conductor: Conductor,
  first: Conducted,
): Promise<Conducted> {
  const last = first.runs.at(-1);
  if (last?.script !== "01_validate_prereqs" || last.outcome !== "blocked") return first;
  const done = await installAsRoot(desk, last, conductor);
  if (!done) return first;
  const from = STAGES.findIndex((stage) => stage.script === last.script);
  const rest = await conduct(STAGES.slice(from), conductor);
  const runs = [...first.runs.slice(0, -1), ...rest.runs];
  return { ...rest, runs, outcome: rest.outcome === "converged" ? "changed" : rest.outcome };
}

/** Scripts that install services, which run as the home's owner. */
const SERVICES = new Set<string>(Object.values(WATCHER));
const OTHERS_HOME =
  "services run as the home's owner, and never as root. Clone the project as another user (adduser shelter), and run up there";

/** What `up` leaves to the operator, each with its command. */
export async function openLines(desk: Pick<Desk, "probe" | "place">): Promise<readonly string[]> {
  const { paint } = layout(false);
  const board = await boardFrom(desk, desk.place.host);
  const ran = new Set<string>([...STAGES.map((stage) => stage.script), OWN]);
  const nothing = new Set<Standing>(["done", "absent", "elsewhere"]);
  const open = board.filter((row) => !ran.has(row.script) && !nothing.has(row.standing));
  const absent = board.filter((row) => row.standing === "absent");
  return [
    paint("dark_gold", "Left open: up never touches kernel, firmware, services or the boot"),
    ...open.map((row) => {
      const what = `  ${paint("steel", `${row.script}: ${row.summary}`)}  `;
      if (desk.probe.owner.uid === 0 && SERVICES.has(row.script)) {
        return what + paint("taupe", `not in root's own home: ${OTHERS_HOME}`);
      }
      return what + paint("gold", (row.fix ?? []).join(" "));
    }),
    paint(
      "taupe",
      `  ${absent.length} scripts are not part of this build: ./bin/shelter status names them`,
    ),
  ];
}

function lastLine(outcome: Outcome, runs: readonly RunReport[], took: number): string {
  const { paint } = layout(false);
  if (outcome === "converged") {
    const checked = runs.length === 1 ? "1 script" : `${runs.length} scripts`;
    return paint(
      "sage",
      `Nothing to do: ${checked} looked, all is as it should be (${duration(took)}). Ask it: ./bin/shelter ask "…"`,
    );
  }
  if (outcome === "changed") return paint("accent_gold", `The shelter is up (${duration(took)})`);
  const failed = runs.at(-1);
  return paint(
    "rust",
    `up ended ${failed ? `at ${printable(failed.script)}: ` : ""}${outcome} (${duration(took)})`,
  );
}
