/** Leaving a test out, with the reason in its name: the test command counts one without a reason as failed. */
import { test } from "bun:test";

/** `test` where `reason` is undefined; else the test is left out and says why. `timeout` in milliseconds. */
export function testUnless(
  reason: string | undefined,
): (name: string, body: () => void | Promise<void>, timeout?: number) => void {
  return (name, body, timeout) => {
    if (reason === undefined) test(name, body, timeout);
    else test.skip(`${name} (left out: ${reason})`, body);
  };
}

/** The reason of a test that needs root; undefined where we are root. */
export const needsRoot = process.getuid?.() === 0 ? undefined : "it needs root";
