/** How far apt has come, from its own words: else a person would wait a minute before a still screen. */
import type { Say } from "../unit.ts";

/** What apt does to each package that it brings, one line each. */
const STAGES = 3;

/**
 * Takes apt-get's lines (as it says them to a pipe, in the C locale), first of a run that only downloads, then of the one that installs, and shows them as one
 * bar.
 */
export function aptProgress(say: Pick<Say, "line" | "progress">): (line: string) => void {
  let packages = 0;
  let done = 0;
  return (line) => {
    const counts = /^(\d+) upgraded, (\d+) newly installed/.exec(line);
    const first = packages === 0;
    if (counts) packages = Number(counts[1]) + Number(counts[2]);
    if (counts && !first) done = packages; // all is fetched by now
    const size = /^Need to get (.+) of archives/.exec(line)?.[1];
    if (size !== undefined && done === 0)
      say.line(`apt brings ${packages} packages, ${size} to fetch`);
    if (/^(?:Get:\d+|Unpacking|Setting up) /.test(line) && done < STAGES * packages) {
      say.progress("apt", ++done, STAGES * packages, "steps");
    }
  };
}
