/** From what was seen to the steps of a mirror. Pure. */
import { join } from "node:path";
import type { Args, Json, Step } from "../unit.ts";
import { choiceOf, type MirrorFacts, type ReachedPeer } from "./facts.ts";
import { agreedText, releaseKey } from "./held.ts";
import { blockOf, isDue } from "./judge.ts";
import { agreedPlace, releaseFolder } from "./places.ts";
import { markPlace, markText } from "./receive/mark.ts";
import { timerStep } from "./timer.ts";
import type { PeerState, SentModel } from "./wire.ts";

/** The steps; none where every peer has what this host has. */
export function planMirror(facts: MirrorFacts, want: Args): readonly Step[] {
  const taken = takeTheirs(facts, want);
  if (taken.length > 0) return taken;
  return [
    ...(facts.touched.length > 0 ? [noteStep(facts.touched)] : []),
    ...facts.peers.flatMap((peer) =>
      peer.reached && blockOf(peer) === undefined ? stepsFor(facts, peer, want) : [],
    ),
    ...(facts.root && !facts.timer.set && facts.timer.lacks === undefined
      ? [timerStep(facts.timer)]
      : []),
  ];
}

function noteStep(touched: readonly string[]): Step {
  return {
    do: "call",
    name: "note_models",
    args: { models: [...touched] },
    undo: { never: "work-folder-only" },
    why: "their files changed, and their bytes did not",
  };
}

function stepsFor(facts: MirrorFacts, peer: ReachedPeer, want: Args): readonly Step[] {
  const { home, host } = facts;
  const { name, own, state, models, release } = peer;
  const steps: Step[] = models.fetch.map(({ sha256, bytes }) => ({
    do: "call",
    name: "fetch_model",
    args: { peer: name, sha256, bytes },
    undo: { never: "adds-content-addressed-file" },
    why: `it is damaged or missing here, and sound on ${name}`,
  }));
  const brings = release.verdict === "mine" || release.verdict === "agree";
  if (brings && !release.signed) {
    steps.push({
      do: "call",
      name: "sign_release",
      args: { peer: name },
      undo: { restore: [join(home, releaseFolder(name), "SHA256SUMS.sig")] },
      why: `${name} runs only what this host signed`,
    });
  }
  if (isDue(peer)) {
    const choice = choiceOf(want);
    const args: { readonly [key: string]: Json } = {
      peer: name,
      generation: state.next,
      last: state.damaged.length > 0 ? null : state.current,
      with_release: release.goes,
      keep: facts.keep,
      release: release.verdict === "mine" ? { was: state.program } : null,
      changes: peer.merge.changes.map((one) => ({ ...one })),
      agreed: peer.agreed,
      models: models.send.map(({ sha256, bytes, names }) => ({ sha256, bytes, names })),
      arriving: arrivedOf(models.send, state.arriving),
      held_back: own.heldBack.map(({ instead }) => ({ ...instead })),
      refused: [...own.refused].map((one) => one.path),
      ...(choice ? { choice: choice.path } : {}),
    };
    steps.push({ do: "call", name: "push", args, undo: { by: "take_back" } });
  }
  if (peer.unknown.here) {
    steps.push({
      do: "write",
      path: agreedPlace(home, host, name),
      content: agreedText(peer.agreed),
      mode: 0o600,
      why: `what both hosts have`,
    });
  }
  return steps;
}

/** Bytes of each model that the peer has of it already; null where it does not say. */
function arrivedOf(
  models: readonly Pick<SentModel, "sha256">[],
  arriving: PeerState["arriving"],
): { readonly [sha256: string]: number } | null {
  if (arriving === null) return null;
  const there = new Map(arriving.map((one) => [one.sha256, one.bytes]));
  return Object.fromEntries(models.map(({ sha256 }) => [sha256, there.get(sha256) ?? 0]));
}

/** `--take theirs`: the peer's version comes here first; what follows from that is the next round's. */
function takeTheirs(facts: MirrorFacts, want: Args): readonly Step[] {
  const choice = choiceOf(want);
  if (choice?.take !== "theirs") return [];
  if (choice.path === releaseKey(facts.host)) return allowPrograms(facts);
  for (const peer of facts.peers) {
    if (!peer.reached) continue;
    const chosen = [
      ...peer.merge.conflicts.filter((one) => one.path === choice.path),
      ...peer.vanished.flatMap((one) => (one.top === choice.path ? one.theirs : [])),
    ];
    if (chosen.length === 0) continue;
    return chosen.map((one): Step => {
      const path = join(facts.home, one.path);
      const why = `${peer.name}'s version was chosen`;
      if (one.theirs === null) return { do: "remove", path, why };
      return {
        do: "call",
        name: "take_theirs",
        args: { peer: peer.name, path: one.path, state: one.theirs },
        undo: { restore: [path] },
        why,
      };
    });
  }
  return [];
}

/** `--take theirs` of the programs: just those that a peer has for this host now may go live with its next run, also where they are older. */
function allowPrograms({ home, host, peers }: MirrorFacts): readonly Step[] {
  return peers.flatMap((peer): readonly Step[] => {
    if (!peer.reached) return [];
    const { program, mark } = peer.offered;
    if (program === null || mark.allowed === program) return [];
    return [
      {
        do: "write",
        path: markPlace(home, host, peer.name),
        content: markText(mark.newest, program),
        mode: 0o600,
        why: `the programs that ${peer.name} built for this host may go live here, older or not`,
      },
    ];
  });
}
