/** What a mirror shows: what would move, and its bytes; both versions of what both changed. Pure. */
import { bytes as inBytes, printable } from "../report/text.ts";
import type { Args, Finding, History, Json } from "../unit.ts";
import type { MirrorFacts, ReachedPeer } from "./facts.ts";
import { bytesOf, isDue } from "./judge.ts";

/** Paths that are listed without --verbose. */
const LISTED = 20;

/** One block for each peer. */
export function pictureMirror(facts: MirrorFacts, want: Args): readonly string[] {
  const most = want["verbose"] === true ? Number.POSITIVE_INFINITY : LISTED;
  return facts.peers.flatMap((peer) => (peer.reached ? ofPeer(peer, most) : []));
}

function ofPeer(peer: ReachedPeer, most: number): readonly string[] {
  const { name, own, merge, models, state, versions } = peer;
  // the mirror's own records go along with others, and call for no run
  const due = isDue(peer);
  const moving = [
    ...models.send.map((one) => ({ path: one.names[0] ?? one.sha256, bytes: one.bytes })),
    ...(due ? own.fresh : []),
  ];
  const live = state.current === null ? "nothing yet" : `generation ${state.current}`;
  const lines = [
    `${name}: ${live} live there, ${own.files.length} files here; ${due ? `${moving.length} to send, ${inBytes(bytesOf(peer))}` : "nothing to send"}`,
  ];
  const show = (sign: string, list: readonly { path: string; bytes?: number }[]) => {
    for (const one of list.slice(0, most)) {
      const size = one.bytes === undefined ? "" : `  ${inBytes(one.bytes)}`;
      lines.push(`  ${sign} ${printable(one.path)}${size}`);
    }
    if (list.length > most) lines.push(`  ${sign} … and ${list.length - most} more`);
  };
  show("+", moving);
  show(
    "-",
    (due ? own.gone : []).map((path) => ({ path })),
  );
  show(
    "=",
    merge.changes.map(({ path, now }) => ({
      path: `${path} ${now === null ? "goes" : "is taken over"} on ${name}`,
    })),
  );
  for (const { path, diff } of versions) {
    lines.push(`  both changed ${printable(path)}:`);
    lines.push(...diff.map((line) => `    ${printable(line)}`));
    lines.push(`    ./bin/05_rsync_mirror --take mine '${printable(path)}'`);
    lines.push(`    ./bin/05_rsync_mirror --take theirs '${printable(path)}'`);
  }
  return lines;
}

/** What the report and the status keep of the facts. */
export function digestMirror(facts: MirrorFacts): Json {
  return {
    timer: facts.timer.set,
    peers: facts.peers.map((peer) =>
      peer.reached
        ? {
            name: peer.name,
            generation: peer.state.current,
            to_send: peer.own.fresh.length + peer.models.send.length,
            bytes: bytesOf(peer),
            conflicts: peer.merge.conflicts.map((one) => one.path),
            held_back: peer.own.heldBack.map((one) => one.path),
            refused: peer.own.refused.map((one) => one.path),
          }
        : { name: peer.name, unreached: peer.failure.id },
    ),
  };
}

/** What tells one state of the mirror from another. */
export function fingerprintMirror(facts: MirrorFacts): Json {
  return {
    timer: facts.timer.set,
    peers: facts.peers.map((peer) =>
      peer.reached
        ? {
            name: peer.name,
            generation: peer.state.current,
            conflicts: peer.merge.conflicts.map((one) => one.path),
          }
        : { name: peer.name, unreached: peer.failure.id },
    ),
  };
}

/** Runs that failed one after the other, newest first, before it is said that something is wrong for good. */
const AGAIN = 3;

/** What nobody asked about. */
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

const GOOD: ReadonlySet<string> = new Set(["changed", "converged"]);
