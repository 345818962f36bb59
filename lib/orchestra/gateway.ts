/** `shelter gateway`: the one address for agents and people, until it is told to stop. */
import { print } from "../cli/output.ts";
import { onSignals } from "../cli/signals.ts";
import { runGateway } from "../gateway/run.ts";
import { printable } from "../report/text.ts";
import type { Command } from "./desk.ts";

export const gateway: Command = async ({ probe }) => {
  const signal = onSignals(() => undefined);
  await runGateway(
    {
      probe,
      onReady: ({ port, peersPort }) => {
        const peers = peersPort === undefined ? "" : `; paired hosts come in at port ${peersPort}`;
        print(`Listening on http://127.0.0.1:${port}/v1${peers}`);
      },
      onNote: (note) => void process.stderr.write(`${printable(note)}\n`),
    },
    signal,
  );
  return { exit: 0, json: null, lines: [] };
};
