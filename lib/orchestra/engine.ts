/** `shelter engine run`: the engine of the gateway, until it is told to stop. */
import { longContext } from "../cli.ts";
import { asFailure, Interrupted, readable } from "../errors.ts";
import { createNotifier } from "../machine/notify.ts";
import { runEngine } from "../services/engine_program.ts";
import { lastWord } from "../services/last_word.ts";
import { onlyRun, textOf, type Command } from "./desk.ts";

export const engine: Command = async ({ machine, place, want }) => {
  onlyRun(want, "engine");
  const context = await longContext(machine, place, want);
  const notifier = await createNotifier();
  try {
    const choice = { build: textOf(want, "build"), before: textOf(want, "before") };
    await runEngine(context, notifier, choice);
  } catch (error) {
    // told to stop while it was still loading
    if (!(context.signal.aborted && context.signal.reason instanceof Interrupted)) {
      notifier.status(lastWord(asFailure(readable(error))));
      throw error;
    }
  }
  return { exit: 0, json: null, lines: [] };
};
