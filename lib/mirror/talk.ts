/** Talking to a peer's mirror role: one ssh connection that all of a run goes through, requests as words, answers as documents. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { Ran, RunOptions } from "../machine/process.ts";
import { bringPrograms, destination, peerFailure, sshOptions } from "../peer/channel.ts";
import type { Trust } from "../trust/offer.ts";
import type { CallContext } from "../unit.ts";
import { DOCUMENT_LIMIT } from "./wire.ts";

/** Path of a unix socket, unix(7): 108 bytes with the end mark; ssh adds a random ending of 17 while it makes one. */
const SOCKET_LIMIT = 90;
/** Milliseconds that the shared connection may take to come up, before each request makes one of its own. */
const PATIENCE = 10_000;
/** Characters of what ssh says that are kept: its reason comes last. */
const SAID = 4096;

/** What starts ssh on this host, and the path as ssh sees it. */
type Hands = Pick<Act, "run" | "real">;

/** Hands for requests that only read, from eyes alone. */
export function readingHands(probe: Pick<Probe, "run">): Hands {
  return { run: (argv, options) => probe.run(argv, options), real: (path) => path };
}

/** ssh's words for the mirror role. The first value of an option counts (ssh_config(5)), so ours come first. */
export function mirrorSsh(
  hands: Hands,
  home: string,
  peer: Trust,
  more: readonly string[] = [],
): readonly string[] {
  const [ssh = "ssh", ...rest] = sshOptions(hands, home, peer, "mirror");
  return [ssh, ...more.flatMap((one) => ["-o", one]), ...rest];
}

/**
 * Ciphers in the order of their speed where the processor has AES instructions: AES-GCM is two to four times as fast as OpenSSH's first choice. Elsewhere
 * ssh's own order stands.
 */
export function ciphersFor(probe: Pick<Probe, "text">): readonly string[] {
  const aes = /^flags\s*:.*\baes\b/m.test(probe.text("/proc/cpuinfo") ?? "");
  return aes ? ["Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com"] : [];
}

/** Milliseconds that a peer may take to answer; it looks at itself for it. */
export const ANSWER = 10 * 60_000;
/** Bytes in a second that the slowest disk reads and the slowest processor hashes. */
export const SLOWEST = 10e6;

/** Says words to the peer, alone or through a connection that stands; gives its answer's text. `reads`: bytes that it must read first. */
export async function ask(
  hands: Hands,
  argv: readonly string[],
  peer: Trust,
  words: readonly string[],
  { reads = 0, ...options }: RunOptions & { readonly reads?: number } = {},
): Promise<string> {
  const bad = words.find((word) => !/^[\w@%+=:,./-]+$/.test(word));
  if (bad !== undefined) throw new Error(`a word that a shell would change: ${bad}`);
  const ran = await hands.run([...argv, "--", destination(peer), ...words], {
    timeout: ANSWER + Math.ceil((reads / SLOWEST) * 1000),
    keep: DOCUMENT_LIMIT,
    ...options,
  });
  if (ran.code !== 0) throw mirrorFailure(peer, `mirroring to ${peer.name}`, ran);
  return ran.stdout;
}

/** What a failed request means for a person. */
export function mirrorFailure(peer: Trust, what: string, ran: Ran): ShelterError {
  const said = ran.stderr;
  const fail = (id: string, why: string, fix?: readonly string[]) =>
    new ShelterError(id, what, why, fix);
  if (/mirror may not ask for|there is no such command/.test(said)) {
    return fail(
      "peer-older",
      `${peer.name} runs an older release, which does not know this mirror`,
      bringPrograms(peer),
    );
  }
  if (/No space left on device|the disk is full|ENOSPC/.test(said)) {
    return fail(
      "peer-disk-full",
      `the disk of ${peer.name} is full: nothing changed there, and the next run goes on from here`,
      ["./bin/00_check_structure", "--host", peer.name],
    );
  }
  if (/Read-only file system|the file system is read-only/.test(said)) {
    return fail("peer-read-only", `the home on ${peer.name} is read-only`, [
      "./bin/shelter",
      "status",
    ]);
  }
  return peerFailure(peer, what, ran);
}

/** One connection to a peer for all of a run. */
export interface Connection {
  /** ssh's words that go through it. */
  readonly argv: readonly string[];
  close(): void;
}

/** Connects. Where the connection can't be shared (a home with a very long path), each request makes one of its own. */
export async function connect(context: CallContext, peer: Trust): Promise<Connection> {
  const { probe, act, signal } = context;
  const ciphers = ciphersFor(probe);
  const folder = inHome.work(probe.home, "mirror");
  const socket = join(folder, `${peer.name.slice(0, 8)}.s`);
  const plain = { argv: mirrorSsh(act, probe.home, peer, ciphers), close: () => undefined };
  if (Buffer.byteLength(act.real(socket)) > SOCKET_LIMIT) return plain;
  act.makeFolder(folder);
  act.remove(socket); // of a run that was killed
  const path = `ControlPath="${act.real(socket)}"`;
  const master = mirrorSsh(act, probe.home, peer, [...ciphers, "ControlMaster=yes", path]);
  const child = act.start([...master, "-N", "--", destination(peer)]);
  let said = "";
  child.onOutput((_, chunk) => void (said = (said + Buffer.from(chunk).toString()).slice(-SAID)));
  let ended = false;
  void child.ended.then(() => void (ended = true));
  const close = () => {
    child.kill("SIGTERM");
    act.remove(socket);
  };
  for (const start = performance.now(); probe.stat(socket) === undefined; await Bun.sleep(5)) {
    if (signal.aborted) close();
    signal.throwIfAborted();
    if (ended) {
      throw mirrorFailure(peer, `connecting to ${peer.name}`, {
        code: 255,
        stdout: "",
        stderr: said,
        timedOut: false,
      });
    }
    if (performance.now() - start > PATIENCE) {
      close();
      return plain;
    }
  }
  return { argv: mirrorSsh(act, probe.home, peer, [path, "ControlMaster=no"]), close };
}

/** A command line as rsync's -e reads it: words apart by blanks, quotes around what holds one, quotes doubled inside (rsync(1)). */
export function remoteShell(argv: readonly string[]): string {
  return argv
    .map((word) => (/[\s'"]/.test(word) ? `'${word.replaceAll("'", "''")}'` : word))
    .join(" ");
}
