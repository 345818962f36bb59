/** `--host NAME`: a script carried out by the other host's own binary, over the operator's key. */
import { ShelterError } from "../errors.ts";
import { createAct } from "../machine/act.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe } from "../machine/probe.ts";
import { readTrust } from "../trust/store.ts";
import type { HostName } from "../unit.ts";
import { peerFailure, sayToPeer } from "./channel.ts";

/** Where the words of the other host go. */
export interface Heard {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/**
 * Runs one of the 21 names on a paired host, with these flags, and hands its words over line by line.
 * @returns its exit code.
 * @throws ShelterError "not-paired", "peer-unreachable" or "host-key-changed".
 */
export async function runOnPeer(
  machine: Machine,
  home: string,
  host: HostName,
  peer: HostName,
  script: string,
  argv: readonly string[],
  heard: Heard,
  signal: AbortSignal,
): Promise<number> {
  const probe = createProbe(machine, home, host);
  const trust = readTrust(probe, peer);
  if (!trust) {
    throw new ShelterError(
      "not-paired",
      `running ${script} on ${peer}`,
      `this is ${host}, and it is not paired with ${peer}`,
      ["./bin/shelter", "pair", peer],
    );
  }
  const act = createAct(machine, probe);
  const ran = await sayToPeer(act, home, trust, "operator", ["run"], {
    input: JSON.stringify({ script, argv }),
    timeout: 0,
    signal,
    onLine: (line, stream) => (stream === "stdout" ? heard.out(line) : heard.err(line)),
  });
  // 255 is ssh's own; none of ours is
  if (ran.code === 255) throw peerFailure(trust, `running ${script} on ${peer}`, ran);
  return ran.code;
}
