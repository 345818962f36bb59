/** Asking the person at the terminal. */
import type { Args } from "../unit.ts";

/** True where there is somebody to ask. */
export function canAsk(want: Args): boolean {
  return process.stdin.isTTY && process.stderr.isTTY && want["json"] !== true;
}

/** A question with yes or no; anything but a clear yes is a no. */
export async function askYesNo(question: string): Promise<boolean> {
  const { createConsola } = await import("consola");
  const answer = await createConsola({}).prompt(question, {
    type: "confirm",
    initial: true,
    cancel: "null",
  });
  return answer === true;
}
