/** `shelter peer …`: not for people. Reads what sshd left in the environment and answers a paired host. */
import { closeInput, inputBytes, type InputLines, inputLines, readInput } from "../cli/input.ts";
import { print } from "../cli/output.ts";
import { interrupt } from "../cli/signals.ts";
import { answerPeer } from "../peer/serve.ts";
import { refused } from "../peer/words.ts";
import type { Command } from "./desk.ts";

export const peer: Command = async ({ machine, place, want, units }) => {
  let lines: InputLines | undefined;
  const exit = await answerPeer({
    machine,
    place,
    words: String(want["request"] ?? "").split(" "),
    original: process.env["SSH_ORIGINAL_COMMAND"],
    connection: process.env["SSH_CONNECTION"],
    input: readInput,
    bytes: inputBytes,
    opening: async (limit) => {
      const open = inputLines(limit);
      lines = open;
      const line = await open.next();
      if (line === undefined) throw refused("it ended before it had asked for anything");
      return { line, further: (heard) => void hearAll(open, heard) };
    },
    print,
    remark: (line) => void process.stderr.write(`${line}\n`),
    send: (bytes) =>
      new Promise((resolve, reject) => {
        process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    runScript: async (script, argv) => {
      const { dispatch } = await import("./dispatch.ts");
      await dispatch([script, ...argv, "--home", place.home], units);
      return Number(process.exitCode ?? 0);
    },
    interrupt: () => interrupt("SIGINT"),
  }).finally(() => {
    lines?.close();
    closeInput();
  });
  return { exit, json: null, lines: [] };
};

async function hearAll(open: InputLines, heard: (line: string | undefined) => void): Promise<void> {
  for (;;) {
    const line = await open.next().catch(() => undefined); // a line without end is a hang-up too
    heard(line);
    if (line === undefined) return;
  }
}
