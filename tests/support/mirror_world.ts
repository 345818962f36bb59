/**
 * Two homes on one fake machine: ours, and a peer's below /peer. `ssh` carries a request to the peer's own code, `rsync` copies as the real one does with
 * the options that we give it; the server line that the real one would send is checked by the peer's own check.
 */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createAct } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { answerMirror } from "../../lib/mirror/receive/serve.ts";
import { checkRsync } from "../../lib/mirror/rsync_words.ts";
import { ShelterError } from "../../lib/errors.ts";
import { requestWords } from "../../lib/peer/words.ts";
import type { Trust } from "../../lib/trust/offer.ts";
import { makeAuthority } from "./certificates.ts";
import {
  FAKE_HOME,
  type FakeFile,
  type FakeMachineOptions,
  type FakeProgram,
  type FakeRan,
  type FakeWorld,
} from "./fake_machine.ts";
import { SILENT } from "./run.ts";

/** The peer's home, as a path of the one fake machine. */
export const PEER_ROOT = "/peer";
export const PEER_HOME = `${PEER_ROOT}${FAKE_HOME}`;

const key = (seed: string) => `ssh-ed25519 ${seed.repeat(68)}`;

/** A certificate that openssl made: what a trust file must hold, though no test here speaks TLS. */
export function certificateOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), "shelter-certificate-"));
  try {
    return readFileSync(makeAuthority(folder, name).ca, "utf8");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a host knows of another. `certificate` must be one. */
export function trustOf(name: string, certificate: string): Trust {
  return {
    schema: 1,
    name,
    address: "198.51.100.2",
    port: 22,
    user: "op",
    home: FAKE_HOME,
    hostKeys: [key("h")],
    keys: { mirror: key("m"), witness: key("w"), operator: key("o"), signing: key("s") },
    certificate,
    pairedAt: "2026-01-01T00:00:00.000Z",
  };
}

/** What may go wrong on the way; called before each request with its words. It may throw. */
export type OnRequest = (
  words: readonly string[],
  world: FakeWorld,
) => FakeRan | Promise<FakeRan> | undefined;

/** Files of both homes, by their paths in each. */
export interface TwoHomes {
  readonly mine?: Readonly<Record<string, FakeFile>>;
  readonly theirs?: Readonly<Record<string, FakeFile>>;
  readonly more?: FakeMachineOptions;
  readonly onRequest?: OnRequest;
  /** Our signing key, as the peer knows it: "type base64". */
  readonly signing?: string;
}

/** A machine with both homes; ours is "testhost", the peer is "shadow". */
export function mirrorMachine(
  certificate: string,
  { mine = {}, theirs = {}, more = {}, onRequest, signing }: TwoHomes,
): FakeMachineOptions {
  const at = (home: string, files: Readonly<Record<string, FakeFile>>) =>
    Object.fromEntries(Object.entries(files).map(([path, file]) => [join(home, path), file]));
  const known = trustOf("testhost", certificate);
  const me = signing === undefined ? known : { ...known, keys: { ...known.keys, signing } };
  const trust = JSON.stringify(trustOf("shadow", certificate));
  return {
    ...more,
    files: {
      [`${FAKE_HOME}/runtime/trust/shadow.json`]: { text: trust, mode: 0o600 },
      [`${PEER_HOME}/runtime/mirror/testhost`]: { folder: true, mode: 0o700 },
      [`${PEER_ROOT}/proc/sys/kernel/random/boot_id`]: "11111111-2222-3333-4444-555555555555\n",
      [`${PEER_ROOT}/proc/self/stat`]: "1 (self)",
      [`${PEER_ROOT}/proc/${process.pid}/stat`]: readFileSync("/proc/self/stat", "utf8"),
      ...at(FAKE_HOME, mine),
      ...at(PEER_HOME, theirs),
      ...more.files,
    },
    programs: {
      ssh: sshTo(me, onRequest),
      rsync: rsyncTo(me, onRequest),
      sync: () => ({}),
      "ssh-keygen": realKeygen,
      diff: () => ({ code: 1, stdout: "--- a\n+++ b\n" }),
      ...more.programs,
    },
  };
}

/** Eyes and hands on the peer. */
export function peerContext(world: FakeWorld) {
  const machine = { ...world.machine, root: world.path(PEER_ROOT) };
  const probe = createProbe(machine, FAKE_HOME, "shadow");
  const act = createAct(machine, probe);
  return { probe, act, say: SILENT, signal: new AbortController().signal };
}

/** What a commit of ours is asked with: these files, and nothing else that is shared. */
export function commitOf(
  generation: string,
  files: readonly object[],
  release: { readonly was: string } | null = null,
) {
  const manifest = { schema: 1, from: "testhost", generation, files, links: [] };
  return { schema: 1, manifest, changes: [], agreed: {}, models: [], keep: 3, release };
}

/** Asks the peer's mirror role as the host `from` does. */
export async function askPeer(
  world: FakeWorld,
  words: readonly string[],
  input = "",
  from: Trust = trustOf("testhost", ""),
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  let stdout = "";
  try {
    const code = await answerMirror({
      context: peerContext(world),
      trust: from,
      words,
      input: () => Promise.resolve(input),
      bytes: async function* () {
        yield await Promise.resolve(Buffer.from(input));
      },
      print: (text) => void (stdout += `${text}\n`),
    });
    return { code, stdout, stderr: "" };
  } catch (error) {
    if (!(error instanceof ShelterError)) throw error;
    return { code: 11, stdout, stderr: `${error.what}: ${error.why}` };
  }
}

/** The real one, on the files of the fake machine; where there is none it fails, as on a machine without it. */
const realKeygen: FakeProgram = (argv, world, { input = "" }) => {
  const program = Bun.which("ssh-keygen");
  if (program === null) return { code: 127, stderr: "no ssh-keygen" };
  const real = argv.slice(1).map((one) => (one.startsWith("/home/") ? world.path(one) : one));
  const ran = Bun.spawnSync([program, ...real], { stdin: Buffer.from(input) });
  const [stdout, stderr] = [ran.stdout.toString(), ran.stderr.toString()];
  return { code: ran.exitCode, stdout, stderr };
};

function sshTo(me: Trust, onRequest: OnRequest | undefined): FakeProgram {
  return async (argv, world, options, killed) => {
    const path = argv.find((one) => one.startsWith('ControlPath="'))?.slice(13, -1);
    if (argv.includes("-N")) {
      if (path !== undefined) writeFileSync(path, "");
      await killed;
      return {};
    }
    const words = requestWords(argv.slice(argv.indexOf("--") + 2).join(" "));
    return onRequest?.(words, world) ?? askPeer(world, words, options.input, me);
  };
}

function rsyncTo(me: Trust, onRequest: OnRequest | undefined): FakeProgram {
  return (argv, world, options) => {
    const value = (name: string) => {
      const one = argv.find((word) => word.startsWith(`${name}=`));
      return one === undefined ? undefined : one.slice(name.length + 1);
    };
    const [to = "", from = ""] = [...argv].reverse();
    const fetches = from.includes("@");
    const [, place = ""] = (fetches ? from : to).split(":");
    const last = value("--link-dest");
    const words = [
      ...["rsync", "--server", ...(fetches ? ["--sender"] : []), fetches ? "-te.x" : "-tpRe.x"],
      ...(argv.includes("--inplace") ? ["--inplace"] : []),
      ...(value("--partial-dir") === undefined ? [] : ["--partial-dir", ".rsync-partial"]),
      ...(last === undefined ? [] : ["--link-dest", last]),
      ...[".", place],
    ];
    if (checkRsync(words) === undefined) return { code: 12, stderr: `refused: ${words.join(" ")}` };
    const instead = onRequest?.(words, world);
    if (instead) return instead;
    const there = join(world.path(PEER_HOME), "runtime/mirror", me.name);
    if (fetches) {
      carry(join(there, place), to);
      return {};
    }
    let vanished = false;
    for (const path of (options.input ?? "").split("\0").filter((one) => one !== "")) {
      if (!existsSync(join(from, path))) vanished = true;
      else {
        const before = last === undefined ? undefined : join(there, place, last, path);
        carry(join(from, path), join(there, place, path), before, argv.includes("--ignore-times"));
      }
    }
    return { code: vanished ? 24 : 0 };
  };
}

/** One file as rsync -tp brings it: a second name of `before` where size, time and mode are the same. */
function carry(from: string, to: string, before?: string, anew = false): void {
  const { size, mtimeMs, atime, mtime, ...rest } = lstatSync(from);
  const mode = rest.mode & ~0o077; // --chmod=go=
  mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
  const same = (path: string | undefined): path is string => {
    const stats = path === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
    return stats?.size === size && Math.abs(stats.mtimeMs - mtimeMs) < 2 && stats.mode === mode;
  };
  if (!anew && same(to)) return;
  rmSync(to, { force: true });
  if (!anew && same(before)) {
    linkSync(before, to);
    return;
  }
  const temporary = `${to}.tmp`;
  writeFileSync(temporary, readFileSync(from));
  chmodSync(temporary, mode);
  utimesSync(temporary, atime, mtime);
  renameSync(temporary, to);
}
