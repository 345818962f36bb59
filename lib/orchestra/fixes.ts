/** Failures that automation knows about: which may pass by themselves, and the best-known fix of those that came back. */
import type { ScriptId } from "../unit.ts";

/** What to do about a failure that keeps coming back. */
export interface KnownFix {
  /** In one sentence, what usually lies behind it and what to do. */
  readonly advice: string;
  readonly command: readonly string[];
}

/** Failures of the network or of a neighbour: the same attempt a little later may succeed. */
const PASSING: ReadonlySet<string> = new Set([
  "download-failed",
  "fetch-failed",
  "no-source",
  "journal-busy",
  "apt-busy",
]);

/** True for a failure that is worth trying again without anybody doing anything. */
export function mayPass(failureId: string): boolean {
  return PASSING.has(failureId);
}

/** By failure, whatever the script. */
const BY_FAILURE: Readonly<Record<string, KnownFix>> = {
  "download-failed": {
    advice:
      "No source could be reached. See what the network and a proxy allow, or give a local copy as a source",
    command: ["./bin/03_install_models", "--plan", "--verbose"],
  },
};

/** By script, for failures that no row above names. */
const BY_SCRIPT: Readonly<Partial<Record<ScriptId, KnownFix>>> = {
  "03_build_llama_cpp": {
    advice:
      "The compiler's own words are in the log; a build in a fresh tree rules out a damaged cache",
    command: ["./bin/shelter", "logs", "03_build_llama_cpp"],
  },
};

const LOGS: KnownFix = {
  advice: "No fix is known for it. The log says what happened",
  command: ["./bin/shelter", "logs"],
};

/** The best-known fix of a failure; the log where nothing better is known. */
export function knownFix(script: ScriptId, failureId: string): KnownFix {
  return (
    BY_FAILURE[failureId] ?? BY_SCRIPT[script] ?? { ...LOGS, command: [...LOGS.command, script] }
  );
}
