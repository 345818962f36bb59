/** `--host NAME` on the command line: what the other host says, in the form that was asked for here. */
import { ShelterError } from "../errors.ts";
import type { Machine } from "../machine/machine.ts";
import { runOnPeer } from "../peer/call.ts";
import { printable } from "../report/text.ts";
import type { HostName } from "../unit.ts";
import { print } from "./output.ts";
import type { Place } from "./place.ts";
import { onSignals } from "./signals.ts";

/** Has the other host's own binary run the script, and prints what it says as it comes; with `json` as one document. Gives its exit code. */
export async function runThere(
  script: string,
  machine: Machine,
  { home, host }: Place,
  peer: HostName,
  argv: readonly string[],
  json: boolean,
): Promise<number> {
  const err = (line: string) => void process.stderr.write(`${printable(line)}\n`);
  const document: string[] = [];
  const out = json
    ? (line: string) => void document.push(line)
    : (line: string) => print(printable(line));
  const signal = onSignals(() => err(`${peer} is still taking it back: please wait`));
  const run = { machine, home, host, peer, script, argv: forThePeer(argv) };
  const code = await runOnPeer(run, { out, err }, signal);
  if (json) print(checked(document.join("\n"), `running ${script} on ${peer}`, peer, code));
  return code;
}

/** The document, as ours would be printed. */
function checked(text: string, what: string, peer: HostName, code: number): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    const why = `${peer} ended with ${code}, and what it said is not one JSON document`;
    throw new ShelterError("peer-malformed", what, why, ["./bin/shelter", "status"]);
  }
}

/** The flags as the other host gets them: where it is and where its home is, it knows itself. */
export function forThePeer(argv: readonly string[]): readonly string[] {
  return argv.filter((word, at) => {
    const own = /^--(host|home)(=|$)/;
    const before = argv[at - 1] ?? "";
    return !own.test(word) && !(own.test(before) && !before.includes("="));
  });
}
