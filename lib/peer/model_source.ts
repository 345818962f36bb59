/** A paired host as a source of models: the command whose output is the file. */
import { ShelterError } from "../errors.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { readTrust } from "../trust/store.ts";
import type { HostName } from "../unit.ts";
import { peerCommand } from "./channel.ts";

/** Seconds to connect: a host that is not there must not hold up the sources after it. */
const CONNECT = 3;

/** The command that prints a model's bytes from `offset` on. @throws ShelterError "not-paired" */
export function modelCommand(
  probe: Probe,
  act: Pick<Act, "real">,
  host: HostName,
  sha256: string,
  offset: number,
): readonly string[] {
  const trust = readTrust(probe, host);
  if (trust) {
    const words = ["model", sha256, String(offset)];
    return peerCommand(act, probe.home, trust, "operator", words, CONNECT);
  }
  throw new ShelterError(
    "not-paired",
    `fetching a model from ${host}`,
    `${probe.host} is not paired with it`,
    ["./bin/shelter", "pair", host],
  );
}
