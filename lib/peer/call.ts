/** `--host NAME`: a script carried out by the other host's own binary, over the operator's key. */
import { ShelterError } from "../errors.ts";
import { compareVersions } from "../facts/versions.ts";
import { createAct } from "../machine/act.ts";
import type { Machine } from "../machine/machine.ts";
import { createProbe, type Probe } from "../machine/probe.ts";
import { RELEASE } from "../release.ts";
import { commandLine, duration } from "../report/text.ts";
import type { Trust } from "../trust/offer.ts";
import { paired, readTrust } from "../trust/store.ts";
import type { HostName } from "../unit.ts";
import { boundedLines, TALK_LIMIT } from "./bounded_lines.ts";
import { bringPrograms, peerCommand, peerFailure } from "./channel.ts";
import { touchContact } from "./contact.ts";
import { BEGINS, CARRY_OUT, INTERRUPT, releaseLine } from "./operator.ts";

/** Where the words of the other host go, line by line. */
export interface Heard {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** What is to run where. */
export interface PeerRun {
  readonly machine: Machine;
  readonly home: string;
  readonly host: HostName;
  readonly peer: HostName;
  /** One of the 21 names. */
  readonly script: string;
  readonly argv: readonly string[];
}

/** The end of what is said on stderr before the script begins, kept for an error, in lines. */
const LAST_LINES = 20;

/**
 * Runs one of the 21 names on a paired host, with these flags, and hands its words over line by line. When `signal` fires the run there is told to take
 * itself back, and waited for; should we be gone ourselves, it takes itself back as well.
 * @returns its exit code.
 * @throws ShelterError "not-paired", "peer-lost", "peer-endless", or what `peerFailure` names.
 */
export async function runOnPeer(run: PeerRun, heard: Heard, signal: AbortSignal): Promise<number> {
  const { machine, home, host, peer, script, argv } = run;
  const what = `running ${script} on ${peer}`;
  const probe = createProbe(machine, home, host);
  const act = createAct(machine, probe);
  const trust = trustOf(probe, peer, what);
  signal.throwIfAborted();
  const child = act.start(peerCommand(act, home, trust, "operator", [CARRY_OUT]), {
    input: `${JSON.stringify({ script, argv })}\n`,
    keepInput: true,
  });
  const last: string[] = [];
  let endless = false;
  let begun = false;
  const lines = {
    stdout: boundedLines(heard.out),
    stderr: boundedLines((line) => {
      if (!begun && line.startsWith(BEGINS)) {
        begun = true;
        for (const one of apart(line.slice(BEGINS.length), trust, machine.now())) heard.err(one);
        return;
      }
      if (begun) return heard.err(line);
      // ssh's words, or a refusal: the error that comes of it tells what they mean
      last.push(line);
      if (last.length > LAST_LINES) last.shift();
    }),
  };
  child.onOutput((stream, chunk) => {
    if (endless || lines[stream].take(chunk)) return;
    endless = true;
    child.kill("SIGKILL");
  });
  const onAbort = () => {
    heard.err(`${peer} is told to take it back: please wait`);
    child.tell(`${INTERRUPT}\n`);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const ended = await child.ended;
  signal.removeEventListener("abort", onAbort);
  lines.stdout.end();
  lines.stderr.end();
  if (endless) {
    throw new ShelterError(
      "peer-endless",
      what,
      `${peer} said more than ${TALK_LIMIT / 1024 / 1024} MiB: no report is that long, so it was cut off; what it does there goes on or is taken back by itself`,
      ["./bin/shelter", "status"],
    );
  }
  const code = ended.code ?? 255;
  if (!begun) {
    signal.throwIfAborted();
    const stderr = ended.error?.message ?? last.join("\n");
    throw peerFailure(trust, what, { code, stdout: "", stderr, timedOut: false });
  }
  // 255 is ssh's own; none of ours is
  if (code === 255) {
    throw new ShelterError(
      "peer-lost",
      what,
      `the connection broke while ${peer} was at it: what it does there goes on, or is taken back by its next run`,
      ["./bin/shelter", "status", "--host", peer],
    );
  }
  touchContact(probe, act, peer);
  return code;
}

/** From here on a difference of the clocks is said, in milliseconds. */
const CLOCK_OFF = 60_000;

/** What a person should know of a host whose release or clock is not this one's, before it says anything else. */
function apart(said: string, trust: Trust, now: number): readonly string[] {
  const [release = "", at = ""] = said.split(" at ");
  const off = Date.parse(at) - now;
  const far = `${duration(Math.abs(off))} ${off > 0 ? "ahead of" : "behind"} this host's`;
  return [
    ...(release === releaseLine() ? [] : otherRelease(release, trust)),
    ...(Math.abs(off) >= CLOCK_OFF
      ? [`the clock of ${trust.name} is ${far}: the times that it says are its own`]
      : []),
  ];
}

function otherRelease(release: string, trust: Trust): readonly string[] {
  const [version = ""] = release.split(" ");
  const newer = compareVersions(version, RELEASE.version) > 0;
  const next = newer ? ["./bin/shelter", "update"] : bringPrograms(trust);
  const why = newer ? "to bring them up to that" : "to bring them there";
  return [
    `${trust.name} runs another release: ${release}`,
    `the programs of this host are ${releaseLine()}; ${why}: ${commandLine(next)}`,
  ];
}

function trustOf(probe: Probe, peer: HostName, what: string): Trust {
  const trust = readTrust(probe, peer);
  if (trust) return trust;
  const names = paired(probe).map((one) => one.name);
  const known = names.length === 0 ? "any host" : `it, only with ${names.join(", ")}`;
  throw new ShelterError(
    "not-paired",
    what,
    `this is ${probe.host}, and it is not paired with ${known}`,
    ["./bin/shelter", "pair", peer],
  );
}
