/** Ctrl-C and the like: the run is told once and takes itself back; asking again does not cut the undo short. */
import { Interrupted } from "../errors.ts";
import { killAllChildren } from "../machine/process.ts";
import { guardOutput } from "./output.ts";

/** A signal that fires on SIGINT, SIGTERM or SIGHUP; `ignored` is called when they come again. Also makes sure that no child outlives us. */
export function onSignals(ignored: () => void): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) ignored();
      else controller.abort(new Interrupted(name));
    });
  }
  guardOutput();
  process.on("exit", () => killAllChildren("SIGKILL"));
  return controller.signal;
}
