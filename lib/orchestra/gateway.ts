/** `shelter gateway run`: the one address for agents and people, until it is told to stop. */
import { longContext } from "../cli.ts";
import { createNotifier } from "../machine/notify.ts";
import { runGatewayService } from "../services/gateway_program.ts";
import { onlyRun, type Command } from "./desk.ts";

export const gateway: Command = async ({ machine, place, want }) => {
  onlyRun(want, "gateway");
  await runGatewayService(await longContext(machine, place, want), await createNotifier());
  return { exit: 0, json: null, lines: [] };
};
