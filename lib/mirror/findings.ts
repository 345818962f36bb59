/** What a mirror says about what it saw. Pure. */
import { sayMade } from "../orchestra/made.ts";
import { bytes, duration, printable } from "../report/text.ts";
import type { Args, Finding } from "../unit.ts";
import { choiceOf, type MirrorFacts, type ReachedPeer } from "./facts.ts";
import { releaseKey } from "./held.ts";
import { blockOf, bytesOf } from "./judge.ts";
import { bytesToCome } from "./models.ts";
import { SPARE } from "./places.ts";

/** Milliseconds that two clocks may be apart before it is said. */
const CLOCKS = 60_000;
/** Findings of one kind that are said one by one. */
const EACH = 5;

const SCRIPT = "./bin/05_rsync_mirror";

/** Judges what was seen. One peer that can't be reached does not hold up the others. */
export function diagnoseMirror(facts: MirrorFacts, want: Args): readonly Finding[] {
  const findings: Finding[] = [...wrongChoice(want)];
  if (facts.strayChoice !== undefined) findings.push(strayChoice(facts, facts.strayChoice));
  if (facts.peers.length === 0) {
    findings.push({
      id: "not-paired",
      level: "info",
      what: "this host is paired with no other: there is nothing to mirror to",
      why: "a mirror goes to a host whose keys are known",
      evidence: "runtime/trust",
      fix: ["./bin/shelter", "pair", "--help"],
    });
  }
  const blocked = facts.peers.map((peer) => blockOf(peer));
  const all = blocked.length > 0 && blocked.every((one) => one !== undefined);
  for (const [at, failure] of blocked.entries()) {
    if (!failure) continue;
    const { id, what, why, fix } = failure;
    const name = facts.peers[at]?.name ?? "";
    findings.push({
      id: `${id}-${name}`,
      level: all ? "fail" : "warn",
      what: `${what}: ${why}`,
      why: "it keeps what it has, and the next run goes on from there",
      evidence: name,
      ...(fix ? { fix } : {}),
    });
  }
  if (facts.configDamaged !== undefined) {
    findings.push({
      id: "config-not-sent",
      level: "warn",
      what: `shared.cfg is ${facts.configDamaged}: it is not sent on`,
      why: "a damaged file must not take the place of a sound one",
      evidence: "shared.cfg",
      fix: ["./bin/00_check_structure", "--plan"],
    });
  }
  for (const peer of facts.peers) if (peer.reached) findings.push(...ofPeer(facts, peer));
  const { timer } = facts;
  if (facts.peers.length > 0 && !timer.set) {
    findings.push({
      id: "timer-not-set",
      level: "info",
      what: `no timer mirrors by itself${timer.lacks === undefined ? "" : `: ${timer.lacks}`}`,
      why: timer.lacks === undefined ? "setting it up takes root" : "until then each run is yours",
      evidence: "shelter-mirror.timer",
      ...(timer.lacks === undefined && !facts.root ? { fix: ["sudo", SCRIPT] } : {}),
    });
  }
  return findings;
}

function ofPeer(facts: MirrorFacts, peer: ReachedPeer): readonly Finding[] {
  const { name, own, merge, vanished, models, release, state } = peer;
  const findings: Finding[] = [];
  const each = <T>(list: readonly T[], say: (one: T, at: number) => Finding, rest: string) => {
    findings.push(...list.slice(0, EACH).map(say));
    if (list.length <= EACH) return;
    findings.push({
      id: `${rest}-more-${name}`,
      level: "warn",
      what: `${list.length - EACH} more like that`,
      why: "they are listed with --verbose and --json",
      evidence: name,
      fix: [SCRIPT, "--plan", "--json"],
    });
  };
  each(
    merge.conflicts,
    ({ path }, at) => ({
      id: `both-changed-${name}-${at}`,
      level: "warn",
      what: `${path} was changed on ${facts.host} and on ${name}: both versions are kept`,
      why: `choose one; for ${name}'s: ${SCRIPT} --take theirs '${path}'`,
      evidence: path,
      fix: [SCRIPT, "--take", "mine", path],
    }),
    "both-changed",
  );
  each(
    own.heldBack,
    ({ path, why }, at) => ({
      id: `held-back-${name}-${at}`,
      level: "warn",
      what: `${path} is not sent on: ${why}`,
      why: `${name} keeps the version that it has`,
      evidence: path,
      fix: [SCRIPT, "--take", "mine", path],
    }),
    "held-back",
  );
  each(
    own.refused,
    ({ path, why }, at) => ({
      id: `refused-${name}-${at}`,
      level: "warn",
      what: `${path} is not mirrored: ${why}`,
      why: "only plain files with a name in UTF-8, and links within one shared folder, are",
      evidence: path,
    }),
    "refused",
  );
  each(
    models.damaged,
    ({ sha256, names }, at) => ({
      id: `model-damaged-${name}-${at}`,
      level: "warn",
      what: `model ${names[0] ?? sha256.slice(0, 12)} is damaged, and ${name} has no sound one`,
      why: "a damaged model is never sent on",
      evidence: `models/sha256/${sha256}`,
      fix: ["./bin/03_install_models"],
    }),
    "model-damaged",
  );
  each(
    models.left,
    (one, at) => ({
      id: `model-left-${name}-${at}`,
      level: "warn",
      what: `model ${one.names[0] ?? one.sha256.slice(0, 12)} stays behind: ${bytes(bytesToCome(one, state.arriving))} of it are to go to ${name}, which has ${bytes(state.free)} free`,
      why: `${bytes(bytesOf(peer))} of other things go there, and ${bytes(SPARE.model)} stay free`,
      evidence: `models/sha256/${one.sha256}`,
      fix: ["./bin/00_check_structure", "--host", name],
    }),
    "model-left",
  );
  each(
    state.closed,
    (path, at) => ({
      id: `closed-${name}-${at}`,
      level: "warn",
      what: `${name} has something at ${path} that is not mirrored: nothing goes there`,
      why: "a link that leads out, a device or a name that is no text is never written through",
      evidence: path,
      fix: [SCRIPT, "--host", name, "--plan"],
    }),
    "closed",
  );
  for (const { top, theirs, reset } of vanished) {
    if (reset !== undefined) {
      const damaged = reset === null ? "" : ` (the damaged one is ${reset})`;
      findings.push({
        id: `config-reset-${name}`,
        level: "warn",
        what: `${top} on ${facts.host} was begun anew and sets nothing${damaged}: it is not sent on, ${name} keeps its own`,
        why: `to have the settings of ${name} here: ${SCRIPT} --take theirs ${top}; to have none on both: --take mine`,
        evidence: top,
        fix: [SCRIPT, "--take", "theirs", top],
      });
      continue;
    }
    findings.push({
      id: `vanished-${name}-${top}`,
      level: "warn",
      what: `nothing is left of ${top} on ${facts.host}, and ${name} has ${theirs.length} of its files: they stay there`,
      why: `to have them back: ${SCRIPT} --take theirs ${top}; to remove them there too: --take mine`,
      evidence: top,
      fix: [SCRIPT, "--take", "theirs", top],
    });
  }
  if (merge.theirs.length > 0) {
    findings.push({
      id: `theirs-${name}`,
      level: "info",
      what: `${merge.theirs.length} shared files are newer on ${name}, e.g. ${merge.theirs[0] ?? ""}`,
      why: `its own run brings them here`,
      evidence: name,
      fix: [SCRIPT, "--host", name],
    });
  }
  if (state.damaged.length > 0) {
    findings.push({
      id: `mirror-damaged-${name}`,
      level: "warn",
      what: `${state.damaged.length} mirrored files on ${name} are not what was sent, e.g. ${state.damaged[0] ?? ""}`,
      why: "all of it is sent anew; look at that host's disk",
      evidence: name,
    });
  }
  const apart = state.now - facts.now;
  if (Math.abs(apart) > CLOCKS) {
    findings.push({
      id: `clock-${name}`,
      level: "warn",
      what: `the clock of ${name} is ${duration(Math.abs(apart))} ${apart > 0 ? "ahead of" : "behind"} this host's`,
      why: "the mirror does not go by clocks, but certificates and ages do",
      evidence: new Date(state.now).toISOString(),
      fix: ["timedatectl"],
    });
  }
  if (release.damaged !== undefined) {
    findings.push({
      id: `release-damaged-${name}`,
      level: "warn",
      what: `the programs built for ${name} are not sent: ${release.damaged}`,
      why: "only what was built and signed here runs there",
      evidence: releaseKey(name),
      fix: ["bun", "run", "build", "--all"],
    });
  } else if (release.closed) {
    findings.push({
      id: `release-closed-${name}`,
      level: "warn",
      what: `the programs built for ${name} are held back: the note of how new they were is damaged there`,
      why: `all else goes; these are for ${name}'s own operator to allow, there: ${SCRIPT} --take theirs ${releaseKey(name)}`,
      evidence: releaseKey(name),
    });
  } else if (release.newer) {
    findings.push({
      id: `release-older-${name}`,
      level: "warn",
      what: `the programs built for ${name} are held back: they are older (${sayMade(release.made)}) than what ${name} has had (${sayMade(release.newer)})`,
      why: `build from newer sources; older ones are for ${name}'s own operator to allow, there: ${SCRIPT} --take theirs ${releaseKey(name)}`,
      evidence: releaseKey(name),
      fix: ["bun", "run", "build", "--all"],
    });
  } else if (release.verdict === "conflict" || release.verdict === "theirs") {
    findings.push({
      id: `release-differs-${name}`,
      level: release.verdict === "conflict" ? "warn" : "info",
      what: `${name} runs other programs than were built for it here`,
      why: "they were put live there by somebody else, and stay",
      evidence: releaseKey(name),
      fix: [SCRIPT, "--take", "mine", releaseKey(name)],
    });
  }
  const { program, mark } = peer.offered;
  if (program !== null && mark.allowed === program) {
    findings.push({
      id: `release-allowed-${name}`,
      level: "info",
      what: `the programs that ${name} built for ${facts.host} go live here with ${name}'s next run`,
      why: "they were allowed here, older or not",
      evidence: releaseKey(facts.host),
      fix: [SCRIPT, "--host", name],
    });
  }
  return findings;
}

function strayChoice({ host, peers }: MirrorFacts, path: string): Finding {
  const names = peers.map(({ name }) => name).join(", ");
  return {
    id: "no-such-conflict",
    level: "fail",
    what: `there is no conflict at ${printable(path)}`,
    why:
      peers.length === 0
        ? `${host} is paired with no other host`
        : `nothing that is mirrored has that name on ${host} or on ${names}`,
    evidence: printable(path),
    fix: [SCRIPT, "--plan"],
  };
}

function wrongChoice(want: Args): readonly Finding[] {
  if (want["take"] === undefined && want["path"] === undefined) return [];
  if (choiceOf(want)) return [];
  return [
    {
      id: "choice",
      level: "fail",
      what: "--take needs mine or theirs, and a path",
      why: "there is nothing to choose otherwise",
      evidence: "--take",
      fix: [SCRIPT, "--take", "mine", "shared.cfg"],
    },
  ];
}
