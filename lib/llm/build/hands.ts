/** Running what builds: as the home's owner also under sudo, gently, and with its troubles named. */
import { ShelterError } from "../../errors.ts";
import type { Ran } from "../../machine/process.ts";
import type { CallContext } from "../../unit.ts";
import { asOwner } from "../as_owner.ts";
import { lastLines } from "./words.ts";

/** How to run one program. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
  readonly onStart?: (pid: number) => void;
}

/**
 * Runs a program as the home's owner: root has no business compiling, and what it makes must be the owner's. Stopped by the context's signal.
 * Ends with its code, whatever that is.
 */
export async function runAsOwner(
  { probe, act, signal }: CallContext,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Ran> {
  const as = asOwner(probe, act);
  const env = { ...as.env, ...options.env };
  const ran = await act.run([...as.argv, ...argv], { ...options, env, signal });
  signal.throwIfAborted();
  return ran;
}

/** An error for a program that failed; a full disk is named as such. */
export function failed(what: string, ran: Ran, fix?: readonly string[]): ShelterError {
  const said = `${ran.stderr}\n${ran.stdout}`;
  if (/No space left on device|Disk quota exceeded/i.test(said)) {
    return new ShelterError("disk-full", what, "the disk is full", ["df", "-h"]);
  }
  const errors = said.split("\n").filter((line) => /\berror\b|fatal:|FAILED/i.test(line));
  const why = errors.length > 0 ? lastLines(errors.slice(0, 3).join("\n"), 3) : lastLines(said, 3);
  return new ShelterError("build-failed", what, `it ended with ${ran.code}: ${why}`, fix);
}
