/** Writing to stdout, where a reader may go away and a disk may be full. */
import { EXIT } from "../errors.ts";

let guarded = false;

/**
 * Makes sure that output which can't be written does not end the program amid a run. A reader that went away (`| head`) is no failure: what it no longer
 * reads is not written. Anything else, e.g. a full disk behind `>`, is said on stderr and makes the exit code 11
 * where it would have been 0.
 */
export function guardOutput(): void {
  if (guarded) return;
  guarded = true;
  process.stderr.on("error", () => undefined); // there is nobody left to tell
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return;
    process.stderr.write(`stdout could not be written: ${error.message}\n`);
    process.exitCode ||= EXIT.blocked; // how a run failed says more
  });
}

/** Prints a text and ends its line. */
export function print(text: string): void {
  guardOutput();
  process.stdout.write(`${text}\n`);
}
