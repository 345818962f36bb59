/** Ctrl-C and the like: the run is told once and takes itself back; asking again does not cut the undo short. */
import { Interrupted } from "../errors.ts";
import { killAllChildren } from "../machine/process.ts";
import { guardOutput } from "./output.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type Signal = (typeof SIGNALS)[number];

const listeners = new Set<(name: Signal) => void>();
let asked: Signal | undefined;

/** A signal that fires on SIGINT, SIGTERM or SIGHUP; `ignored` is called when they come again. Also makes sure that no child outlives us. */
export function onSignals(ignored: () => void): AbortSignal {
  const controller = new AbortController();
  const hear = (name: Signal) => {
    if (controller.signal.aborted) ignored();
    else controller.abort(new Interrupted(name));
  };
  listeners.add(hear);
  for (const name of SIGNALS) process.on(name, () => hear(name));
  guardOutput();
  process.on("exit", () => killAllChildren("SIGKILL"));
  if (asked) hear(asked);
  return controller.signal;
}

/** The same from within: for who is told to stop by other means than a signal. What begins to listen only later hears it too. */
export function interrupt(name: Signal): void {
  asked = name;
  for (const hear of listeners) hear(name);
}
