/** `shelter peer …`: not for people. Reads what sshd left in the environment and answers a paired host. */
import { print } from "../cli/output.ts";
import { ShelterError } from "../errors.ts";
import { answerPeer } from "../peer/serve.ts";
import type { Command } from "./desk.ts";

/** One argument of Linux's execve is at most 128 KiB; a request is far below. */
export const peer: Command = async ({ machine, place, want, units }) => {
  const exit = await answerPeer({
    machine,
    place,
    words: String(want["request"] ?? "").split(" "),
    original: process.env["SSH_ORIGINAL_COMMAND"],
    connection: process.env["SSH_CONNECTION"],
    input: readInput,
    print,
    runScript: async (script, argv) => {
      const { dispatch } = await import("./dispatch.ts");
      await dispatch([script, ...argv, "--home", place.home], units);
      return Number(process.exitCode ?? 0);
    },
  });
  return { exit, json: null, lines: [] };
};

async function readInput(limit: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of process.stdin) {
    text +=
      typeof chunk === "string" ? chunk : decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > limit)
      throw new ShelterError("request-refused", "a request of a paired host", "it is too long");
  }
  return text;
}
