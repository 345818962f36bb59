/** `shelter gateway run`: the one address for agents and people, until it is told to stop. */
import { longContext } from "../cli.ts";
import { asFailure, readable } from "../errors.ts";
import { createNotifier } from "../machine/notify.ts";
import { runGatewayService } from "../services/gateway_program.ts";
import { lastWord } from "../services/last_word.ts";
import { onlyRun, type Command } from "./desk.ts";

export const gateway: Command = async ({ machine, place, want }) => {
  onlyRun(want, "gateway");
  const notifier = await createNotifier();
  try {
    await runGatewayService(await longContext(machine, place, want), notifier);
  } catch (error) {
    notifier.status(lastWord(asFailure(readable(error))));
    throw error;
  }
  return { exit: 0, json: null, lines: [] };
};
