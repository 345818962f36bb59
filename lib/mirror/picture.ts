/** What a mirror shows (what would move, and its bytes; both versions of what both changed), and what is kept of its facts. Pure. */
import { bytes as inBytes, printable } from "../report/text.ts";
import type { Args, Json } from "../unit.ts";
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

/** Shown, never compared: what the report and the status file say of each peer, with amounts that are others at each look. */
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
            models_left: peer.models.left.map((one) => one.names[0] ?? one.sha256),
            held_back: peer.own.heldBack.map((one) => one.path),
            refused: peer.own.refused.map((one) => one.path),
          }
        : { name: peer.name, unreached: peer.failure.id },
    ),
  };
}

/** Compared, never shown: while this stays the same, the last run still holds. What is to be sent is no part of it: new records call for no run. */
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
