/** What nobody asked a mirror about. Pure. */
import type { Finding, History } from "../unit.ts";
import type { MirrorFacts } from "./facts.ts";

const GOOD: ReadonlySet<string> = new Set(["changed", "converged"]);
/** Runs that failed one after the other, newest first, before it is said that something is wrong for good. */
const AGAIN = 3;

/** A mirror that keeps failing, and peers whose programs nobody built. */
export function unaskedMirror(facts: MirrorFacts, history: History): readonly Finding[] {
  const findings: Finding[] = [];
  const failed = history.runs.findIndex((one) => GOOD.has(one.outcome));
  const times = failed === -1 ? history.runs.length : failed;
  if (times >= AGAIN) {
    const since = history.runs[times - 1]?.at ?? "";
    findings.push({
      id: "mirror-keeps-failing",
      level: "warn",
      what: `the last ${times} runs of the mirror failed`,
      why: `since ${since} the other host has nothing newer from here`,
      evidence: history.runs[0]?.because ?? "history",
      fix: ["./bin/shelter", "logs", "05_rsync_mirror"],
    });
  }
  const alone = facts.peers.filter((peer) => peer.reached && peer.release.program === null);
  for (const peer of alone) {
    findings.push({
      id: `no-release-for-${peer.name}`,
      level: "info",
      what: `no programs are built here for ${peer.name}`,
      why: "they would be mirrored, checked and put live there with the next run",
      evidence: `bin/hosts/${peer.name}`,
      fix: ["bun", "run", "build", "--all"],
    });
  }
  return findings;
}
