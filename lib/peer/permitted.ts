/**
 * What the operator's key of a paired host may have run here: the scripts with their plain flags, and of `shelter` what shows this host or repeats what the
 * scripts do. All else is for this host's own operator: which programs and commands run here, whom it trusts, which files of it are read, and its record.
 */
import { SHELTER_ID } from "../orchestra/names.ts";
import { ROSTER } from "../roster.ts";

/** One command's flags: those with a value, those without, and whether a word beside them is fine. */
interface Plain {
  readonly switches?: readonly string[];
  readonly values?: readonly string[];
  readonly word?: RegExp;
}

/** A name of a script or model; no path, so that nothing outside the home is meant. */
const NAMES = /^[\w.,+-]+$/;
/** What both hosts may write: the paths that can be in conflict. Programs are not among them. */
const SHARED_PATH = /^(mine|theirs|shared\.cfg|(agents|dashboards)(\/[^/]+)*)$/;

const OF_SCRIPTS = ["plan", "verify", "undo", "json", "yes", "verbose", "help", "version"];
const OF_SHELTER = ["json", "yes", "verbose", "help", "version"];

/** Flags of a script's own; a script that is not here takes none of a peer. */
const SCRIPTS: Readonly<Record<string, Plain>> = {
  "01_validate_prereqs": { values: ["feature"] },
  "03_build_llama_cpp": { values: ["with", "without", "jobs"] },
  "03_install_models": { values: ["model", "remove"], switches: ["list", "recheck"], word: NAMES },
  "04_llm_benchmark": {
    values: ["model", "budget", "preheat"],
    switches: ["again", "tune", "accept"],
  },
  "05_rsync_mirror": { values: ["take"], word: SHARED_PATH },
};

/** Commands of `shelter`, with their own flags. */
const COMMANDS: Readonly<Record<string, Plain>> = {
  up: { values: ["question"], switches: ["again"] },
  status: {},
  plan: {},
  verify: {},
  next: {},
  undo: { word: NAMES },
  history: { word: NAMES },
  logs: { values: ["lines"], word: NAMES },
  watch: { switches: ["again"] },
};

/** Names of the commands of `shelter` that a paired host may have carried out here. */
export const PEER_COMMANDS: readonly string[] = Object.keys(COMMANDS);

/** What of a command line is not for a peer to say; undefined where all of it is. */
export function notForPeers(script: string, argv: readonly string[]): string | undefined {
  if (script === SHELTER_ID) return notOfShelter(argv);
  if (!ROSTER.some(({ id }) => id === script)) return script;
  return oddWord(argv, SCRIPTS[script] ?? {}, OF_SCRIPTS);
}

function notOfShelter(argv: readonly string[]): string | undefined {
  const [name = ""] = argv;
  // without a word it is `status`, or what a flag says: `--plan`, `--verify`, `--undo`
  if (name === "" || name.startsWith("-")) return oddWord(argv, {}, OF_SCRIPTS);
  const plain = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!plain) return `shelter ${name}`;
  return oddWord(argv.slice(1), plain, OF_SHELTER);
}

/** The first word that is neither a known flag, nor the value of one, nor a word that stands alone. What begins with a dash is always taken for a flag. */
function oddWord(
  argv: readonly string[],
  { switches = [], values = [], word }: Plain,
  shared: readonly string[],
): string | undefined {
  const flags = new Set([...shared, ...switches, ...values].map((name) => `--${name}`));
  const takesNext = new Set(values.map((name) => `--${name}`));
  return argv.find((one, at) => {
    if (one === "-h") return false;
    if (one.startsWith("-")) {
      const next = argv[at + 1] ?? "-";
      // its value would be what comes after the peer's own words
      if (takesNext.has(one) && next.startsWith("-")) return true;
      return !flags.has(one.replace(/=.*$/s, ""));
    }
    if (word?.test(one) && !isUpward(one)) return false;
    // the words of 05 are paths wherever they stand: its only flag with a value knows two, which are in the pattern
    return word === SHARED_PATH || !takesNext.has(argv[at - 1] ?? "");
  });
}

function isUpward(word: string): boolean {
  return word.split("/").some((part) => part === "." || part === "..");
}
