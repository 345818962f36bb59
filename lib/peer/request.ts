/** A request of a paired host, as sshd's forced command hands it over, and what the verbs of every role share. */
import type { Place } from "../cli/place.ts";
import { createAct } from "../machine/act.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe } from "../machine/probe.ts";
import type { CallContext, Say } from "../unit.ts";

/** The first line of what the other side says, and the rest of the connection. */
export interface Opening {
  readonly line: string;
  /** Calls back with each further line; with undefined, once, when the other side has hung up. */
  further(heard: (line: string | undefined) => void): void;
}

/** What the world outside gives a request. */
export interface PeerRequest {
  readonly machine: Machine;
  readonly place: Place;
  /** Words after `shelter peer`. */
  readonly words: readonly string[];
  /** SSH_ORIGINAL_COMMAND; set where sshd forced us. */
  readonly original: string | undefined;
  /** SSH_CONNECTION: "client-address client-port server-address server-port". */
  readonly connection: string | undefined;
  /** All of its standard input, at most `limit` characters. */
  readonly input: (limit: number) => Promise<string>;
  /** Its standard input as it comes. */
  readonly bytes: () => AsyncIterable<Uint8Array>;
  /** Its first line, at most `limit` characters, with the input left open. */
  readonly opening: (limit: number) => Promise<Opening>;
  readonly print: (text: string) => void;
  /** Prints a line on stderr. */
  readonly remark: (line: string) => void;
  /** Sends bytes as they are, and waits until they are taken. */
  readonly send: (bytes: Uint8Array) => Promise<void>;
  /** Runs one of the 21 names with these flags and prints what it says; gives its exit code. */
  readonly runScript: (script: string, argv: readonly string[]) => Promise<number>;
  /** Has the run that goes on take itself back, as Ctrl-C does. */
  readonly interrupt: () => void;
}

/** A service speaks to nobody: its words would be taken for the answer. */
export const MUTE: Say = {
  line: () => undefined,
  detail: () => undefined,
  progress: () => undefined,
  stream: () => undefined,
};

/** Eyes and hands for a request. */
export function contextOf({ machine, place }: Pick<PeerRequest, "machine" | "place">): CallContext {
  const probe = createProbe(machine, place.home, place.host);
  return { probe, act: createAct(machine, probe), say: MUTE, signal: new AbortController().signal };
}
