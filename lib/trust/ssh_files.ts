/** The two text files of OpenSSH that pairing writes to: pure, text in and text out. */
import type { Offer, Role } from "./offer.ts";

/** Roles that may log in; the signing key only signs. */
const LOGINS: readonly Role[] = ["mirror", "witness", "operator"];

const begin = (peer: string) => `# >>> mountain-shelter ${peer} >>>`;
const end = (peer: string) => `# <<< mountain-shelter ${peer} <<<`;

/**
 * authorized_keys with one marked block for a peer, all else untouched byte for byte; without a peer's offer the block is taken out.
 * `restrict` (sshd(8)) turns everything off, and the forced command is all that the key can start: no shell, no forwarding, no pty.
 */
export function withPeerKeys(text: string, peer: string, program: string, offer?: Offer): string {
  const [before, after] = aroundBlock(text, peer);
  if (!offer) return before + after;
  const glue = before === "" || before.endsWith("\n") ? "" : "\n";
  const lines = LOGINS.map(
    (role) =>
      `restrict,command="${forced(program, role, peer)}" ${offer.keys[role]} mountain-shelter ${peer} ${role}\n`,
  );
  return `${before}${glue}${begin(peer)}\n${lines.join("")}${end(peer)}\n${after}`;
}

/** known_hosts for all peers, in a file of our own. Port 22 is written without brackets (sshd(8)). */
export function knownHosts(peers: readonly Pick<Offer, "name" | "hostKeys">[]): string {
  return peers
    .flatMap(({ name, hostKeys }) => hostKeys.map((key) => `${alias(name)} ${key}\n`))
    .join("");
}

/** Such a file's text without the keys of one peer. */
export function withoutPeer(text: string, peer: string): string {
  const lines = text.split("\n").filter((line) => !line.startsWith(`${alias(peer)} `));
  return lines.join("\n");
}

/** The name that a peer's host keys are known by, whatever its address (ssh_config(5), HostKeyAlias). */
export function alias(peer: string): string {
  return `shelter-${peer}`;
}

/** sshd gives a forced command to the user's shell, so the path is quoted for it, and the whole for sshd's own double quotes. */
function forced(program: string, role: Role, peer: string): string {
  const quoted = `'${program.replaceAll("'", String.raw`'\''`)}' peer ${role} ${peer}`;
  return quoted.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

function aroundBlock(text: string, peer: string): readonly [string, string] {
  const from = text.indexOf(`${begin(peer)}\n`);
  if (from === -1) return [text, ""];
  const mark = `${end(peer)}\n`;
  const to = text.indexOf(mark, from);
  // a block without its end was cut by hand: only its first line is ours for certain
  const rest = to === -1 ? text.slice(from + begin(peer).length + 1) : text.slice(to + mark.length);
  return [text.slice(0, from), rest];
}
