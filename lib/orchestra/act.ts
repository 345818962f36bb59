/** `shelter act`: not for people. Root's side of what the watcher may ask for, one act and one line of answer. */
import { asFailure, EXIT, UsageError } from "../errors.ts";
import { createAct } from "../machine/act.ts";
import { actAsRoot } from "../services/root_acts.ts";
import { verbOf, VERBS } from "../services/verbs.ts";
import { textOf, type Command } from "./desk.ts";

/** Characters of a request that are looked at: the longest verb is far below. */
const LONGEST = 64;

export const act: Command = async ({ machine, probe, want }) => {
  const asked = textOf(want, "verb") ?? (await oneLine());
  const verb = verbOf(asked);
  if (!verb) {
    throw new UsageError("usage", "shelter act", `it knows ${VERBS.join(", ")}`, [
      "./bin/shelter",
      "status",
    ]);
  }
  try {
    await actAsRoot({ probe, act: createAct(machine, probe) }, verb);
    return { exit: 0, json: null, lines: ["ok"] };
  } catch (error) {
    const { what, why } = asFailure(error);
    return { exit: EXIT.blocked, json: null, lines: [`${what}: ${why}`] };
  }
};

async function oneLine(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes("\n") || text.length > LONGEST) break;
  }
  return text.split("\n", 1)[0]?.slice(0, LONGEST) ?? "";
}
