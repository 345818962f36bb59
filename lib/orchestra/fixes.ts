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
  "pip-failed",
  "npm-failed",
  "apt-failed",
  "apt-busy",
  "build-busy",
  "journal-busy",
  "takeover-busy",
  "engine-not-ready",
]);

/** True for a failure that is worth trying again without anybody doing anything. */
export function mayPass(failureId: string): boolean {
  return PASSING.has(failureId);
}

const NETWORK: KnownFix = {
  advice:
    "No source could be reached: see what the network, a proxy or a firewall allows, or name a local copy as a source in models/local.yaml",
  command: ["./bin/03_install_models", "--plan", "--verbose"],
};
const DISK: KnownFix = {
  advice:
    "The disk is full: free some room; 00_check_structure removes work in progress that has grown old",
  command: ["./bin/00_check_structure"],
};
const STRUCTURE: KnownFix = {
  advice:
    "Something in the home is not as it was left: the structure check names each path and repairs what is safe",
  command: ["./bin/00_check_structure", "--plan"],
};

/** By failure, whatever the script. */
const BY_FAILURE: Readonly<Record<string, KnownFix>> = {
  "download-failed": NETWORK,
  "fetch-failed": NETWORK,
  "no-source": {
    advice:
      "llama.cpp's source could be had neither from the npm registry nor from upstream: see what the network, a proxy or a firewall allows",
    command: ["./bin/03_build_llama_cpp", "--plan"],
  },
  "disk-full": DISK,
  "journal-busy": STRUCTURE,
  "lock-damaged": STRUCTURE,
  "pip-failed": {
    advice:
      "pip could not fetch the package: its own words are in the log, and the index or proxy that it uses is set by PIP_INDEX_URL and https_proxy",
    command: ["./bin/shelter", "logs"],
  },
  "npm-failed": {
    advice: "the package could not be fetched from the npm registry: the log names why",
    command: ["./bin/shelter", "logs"],
  },
  "apt-failed": {
    advice:
      "apt could not install the packages: an interrupted dpkg or stale lists are the usual reason",
    command: ["sudo", "dpkg", "--configure", "-a"],
  },
  "apt-busy": {
    advice:
      "another program holds apt's lock, often unattended-upgrades: wait until it has finished",
    command: ["sudo", "lsof", "/var/lib/dpkg/lock-frontend"],
  },
  "hash-differs": {
    advice:
      "what the source gives is not what is pinned: the source was replaced or damaged. Use another source, and do not lower the pin",
    command: ["./bin/03_install_models", "--plan", "--verbose"],
  },
  "source-differs": {
    advice:
      "llama.cpp's source is not the pinned tree: remove the home's copy and let it be fetched anew",
    command: ["./bin/03_build_llama_cpp", "--plan"],
  },
  "build-failed": {
    advice:
      "the compiler's own words are in the log; the build prerequisites name a compiler that is too old",
    command: ["./bin/01_validate_prereqs", "--feature", "build"],
  },
  "build-differs": {
    advice:
      "the build computes something else than it must, so it never went live: leave out the part that it failed on, e.g. --without vulkan",
    command: ["./bin/03_build_llama_cpp", "--help"],
  },
  "engine-died": {
    advice:
      "the engine crashed: prove the live build, and go back to the last one if it does not hold",
    command: ["./bin/03_build_llama_cpp", "--verify"],
  },
  "gpu-not-used": {
    advice:
      "the engine ran on the CPU although a GPU was asked for: the driver or its libraries changed",
    command: ["./bin/01_validate_prereqs", "--feature", "cuda,vulkan"],
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
