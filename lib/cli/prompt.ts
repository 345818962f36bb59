/** Asking the person at the terminal. */
import { Interrupted } from "../errors.ts";
import type { Args } from "../unit.ts";

/** True where there is somebody to ask. */
export function canAsk(want: Args): boolean {
  return process.stdin.isTTY && process.stderr.isTTY && want["json"] !== true;
}

/**
 * A question with yes or no; anything but a clear yes is a no. `initial` is what Enter alone means.
 * @throws Interrupted on Ctrl-C: who leaves has not answered.
 */
export async function askYesNo(question: string, initial: boolean): Promise<boolean> {
  const { createConsola } = await import("consola");
  const answer: unknown = await createConsola({}).prompt(question, {
    type: "confirm",
    initial,
    cancel: "null",
  });
  if (answer === null) throw new Interrupted("Ctrl-C");
  return answer === true;
}
