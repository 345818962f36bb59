/** Talking to a paired host: ssh with a key of one role, to a host key that was pinned, starting nothing but the forced command there. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Ran, RunOptions } from "../machine/process.ts";
import type { Trust, Role } from "../trust/offer.ts";
import { alias } from "../trust/ssh_files.ts";

/** Seconds to reach a host; a laptop that is asleep or gone must not hold anything up. */
const CONNECT_TIMEOUT = 8;

/** ssh and its options for one role; the peer's address and what to say follow. Also what rsync is given as its remote shell. */
export function sshOptions(
  act: Pick<Act, "real">,
  home: string,
  peer: Trust,
  role: Role,
  connect = CONNECT_TIMEOUT,
): readonly string[] {
  const option = (text: string) => ["-o", text];
  return [
    ...["ssh", "-F", "/dev/null", "-T"],
    ...["-i", act.real(inHome.identity(home, role))],
    ...["-p", String(peer.port)],
    ...option(`UserKnownHostsFile="${act.real(inHome.identity(home, "known_hosts"))}"`),
    ...option("GlobalKnownHostsFile=/dev/null"),
    ...option("StrictHostKeyChecking=yes"),
    ...option(`HostKeyAlias=${alias(peer.name)}`),
    ...option("IdentitiesOnly=yes"),
    ...option("IdentityAgent=none"),
    ...option("BatchMode=yes"),
    ...option("ControlPath=none"),
    ...option(`ConnectTimeout=${connect}`),
    ...option("ServerAliveInterval=5"),
    ...option("ServerAliveCountMax=3"),
  ];
}

/** "user@address", where ssh finds the peer. */
export function destination(peer: Trust): string {
  return `${peer.user}@${peer.address}`;
}

/** The command line that says `words` to the peer's `shelter peer <role>`. `connect` is the longest wait for a connection, in seconds. */
export function peerCommand(
  act: Pick<Act, "real">,
  home: string,
  peer: Trust,
  role: Role,
  words: readonly string[],
  connect?: number,
): readonly string[] {
  const bad = words.find((word) => !/^[\w@%+=:,./-]+$/.test(word));
  if (bad !== undefined) throw new Error(`a word that a shell would change: ${bad}`);
  return [...sshOptions(act, home, peer, role, connect), "--", destination(peer), ...words];
}

/** Says `words` to the peer's `shelter peer <role>` and waits for its answer; `code` 255 is ssh's own failure. `connect` as in `peerCommand`. */
export function sayToPeer(
  act: Pick<Act, "real" | "run">,
  home: string,
  peer: Trust,
  role: Role,
  words: readonly string[],
  { connect, ...options }: RunOptions & { readonly connect?: number } = {},
): Promise<Ran> {
  return act.run(peerCommand(act, home, peer, role, words, connect), {
    timeout: 60_000,
    ...options,
  });
}

/** The command that brings this home's programs to a peer by the operator's own login: for one whose own can't be asked to take them. */
export function bringPrograms(peer: Trust): readonly string[] {
  return ["rsync", "-aH", "bin/", `${destination(peer)}:${peer.home}/bin/`];
}

/** What a failed call means for a person. */
export function peerFailure(peer: Trust, what: string, ran: Ran): ShelterError {
  const { name, address } = peer;
  // the words of ssh(1) for a key that is not there, may not be read or is damaged
  const keyless = /^(?:Warning: Identity file (.+) not accessible|Load key "(.+)"): /m
    .exec(ran.stderr)
    ?.slice(1)
    .find((path) => path !== undefined);
  const lines = ran.stderr.split("\n").filter((line) => !line.startsWith("Warning: Identity file"));
  const said = lines.join("\n").trim().split("\n").slice(-2).join(" ").replaceAll("✗ ", "");
  const failed = (id: string, why: string, fix?: readonly string[]) =>
    new ShelterError(id, what, why, fix);
  const anew = ["./bin/shelter", "pair", name, "--anew"];
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/.test(ran.stderr)) {
    const why = `${name} at ${address} shows another host key than the one that was pinned: it was set up anew, or it is not ${name}`;
    return failed("host-key-changed", why, anew);
  }
  if (/^\S+: Permission denied \(/m.test(ran.stderr)) {
    if (keyless !== undefined) {
      const why = `this host's own key for it is gone or can't be read: ${keyless}`;
      return failed("key-missing", why, anew);
    }
    const why = `${name} at ${address} does not take this host's key: the pairing was taken back there (${said})`;
    return failed("key-refused", why, anew);
  }
  if (/(failed to execute|spawn) ssh\b/.test(ran.stderr)) {
    const install = ["sudo", "apt-get", "install", "-y", "openssh-client"];
    return failed("needs-ssh", "this host has no ssh", install);
  }
  if (ran.timedOut || ran.code === 255) {
    const why = `${name} at ${address} did not answer: ${said === "" ? "it took too long" : said}`;
    return failed("peer-unreachable", why, ["ssh", "-p", String(peer.port), destination(peer)]);
  }
  if (ran.code === 126 || ran.code === 127) {
    const why = `no program of ours answers there: ${said}`;
    return failed("peer-without-binaries", why, bringPrograms(peer));
  }
  if (/ may not ask for \S+$|: there is no such command/m.test(ran.stderr)) {
    const why = `the programs of ${name} are of another release, which does not know this request`;
    return failed("peer-other-release", why, bringPrograms(peer));
  }
  return failed("peer-refused", `${name} ended with ${ran.code}: ${said}`);
}
