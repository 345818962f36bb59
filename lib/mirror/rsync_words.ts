/**
 * What rsync may be started with for a paired host: its server line, word by word. The peer's rsync writes the line, so every word is data:
 * what is not in these tables is refused, and what is can name nothing but the peer's own places below runtime/mirror/<peer>.
 */

/** Folder of half-sent files within an arriving generation. */
export const PARTIAL_FOLDER = ".rsync-partial";
/** Ending of a generation that is still arriving. */
export const ARRIVING = ".partial";
/** Where models arrive, and where those lie that the peer asked for. */
export const MODELS = "models";
export const OFFERED = "offer";

/** A generation's name: a number of eight digits, so that names sort by age. */
export const GENERATION = /^\d{8}$/;

const ARRIVING_PLACE = /^\d{8}\.partial\/$/;
const OFFERED_FILE = /^offer\/[0-9a-f]{64}$/;
const LAST_GENERATION = /^\.\.\/\d{8}$/;

/**
 * The cluster of short options: t times, p modes, I ignore times, R relative names, then "e" with the capabilities that the two rsyncs tell each
 * other (rsync(1), "-e.LsfxCIvu"). None of l, L, k, K, o, g, D, s: no links, no owners, no devices, no arguments past this check.
 */
const CLUSTER = /^-[tpIR]{1,4}e\d{0,3}\.[A-Za-z]{0,24}$/;

/** What a checked line is about. */
export type RsyncRequest =
  | { readonly kind: "generation"; readonly words: readonly string[]; readonly place: string }
  | { readonly kind: "offered"; readonly words: readonly string[]; readonly file: string };

/** Checks the words of a request, "rsync" first; undefined for whatever is not exactly one of the two forms. */
export function checkRsync(words: readonly string[]): RsyncRequest | undefined {
  const [program, server, ...rest] = words;
  if (program !== "rsync" || server !== "--server") return undefined;
  const [place = "", dot] = [...rest].reverse();
  if (dot !== ".") return undefined;
  const sends = rest[0] === "--sender";
  const options = rest.slice(sends ? 1 : 0, -2);
  const [cluster = "", ...long] = options;
  if (!CLUSTER.test(cluster)) return undefined;
  if (sends) {
    if (!OFFERED_FILE.test(place) || !areOf(long, IN_PLACE)) return undefined;
    return { kind: "offered", words, file: place };
  }
  if (!ARRIVING_PLACE.test(place) || !areOf(long, STAGED)) return undefined;
  return { kind: "generation", words, place: place.slice(0, -1) };
}

/** A long option: a flag alone, or one with the value that must follow it. */
type Allowed = Readonly<Record<string, RegExp | null>>;

/** Seconds of silence after which either rsync gives up (rsync(1), --timeout): a peer that stalls must not hold the lock. */
export const SILENCE = "--timeout=60";

const IN_PLACE: Allowed = { [SILENCE]: null, "--inplace": null, "--partial": null };
const STAGED: Allowed = {
  [SILENCE]: null,
  "--partial": null,
  "--partial-dir": /^\.rsync-partial$/,
  "--link-dest": LAST_GENERATION,
};

/** Each word is an allowed option, at most once, and each value is of its form. */
function areOf(words: readonly string[], allowed: Allowed): boolean {
  const seen = new Set<string>();
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const form = Object.hasOwn(allowed, word) ? allowed[word] : undefined;
    if (form === undefined || seen.has(word)) return false;
    seen.add(word);
    if (form !== null && !form.test(words[++at] ?? "")) return false;
  }
  return true;
}
