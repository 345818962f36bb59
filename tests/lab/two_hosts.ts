/** The two-host lab: phantom on trixie and shadow on bookworm, on one bridge, each with the same user, an ssh server and nothing of ours but the binaries. */
import { mkdirSync, readdirSync, linkSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { bootHost, type LabHost, type Said } from "./host.ts";
import { must, type Release } from "./base.ts";

/** Who owns the homes. */
export const USER = "op";
export const HOME = `/home/${USER}/.mountain_shelter`;
/** RFC 5737 documentation addresses: they route nowhere. */
export const ADDRESS = {
  phantom: "198.51.100.1",
  shadow: "198.51.100.2",
  attic: "198.51.100.3",
} as const;
export type LabName = keyof typeof ADDRESS;

/** What each host is given beside what boots. */
export const PACKAGES = [
  "openssh-server",
  "openssh-client",
  "openssl",
  "rsync",
  "iproute2",
  "ca-certificates",
  "libgomp1",
  "procps",
];

/** Two running hosts. */
export interface TwoHosts {
  readonly phantom: LabHost;
  readonly shadow: LabHost;
  readonly bridge: string;
  /** Runs one of our names on a host, as the home's owner. */
  shelter(
    host: LabHost,
    argv: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<Said>;
  /** Boots one more on the same bridge, "attic"; it goes with the others. */
  third(): Promise<LabHost>;
  /** Pulls both cables, or puts them back. */
  cable(connected: boolean): Promise<void>;
  stop(): Promise<void>;
}

/** Boots both and connects them; the binaries of `bin` are put into each home. `more` are packages for shadow, whose units do not start by themselves. */
export async function bootTwoHosts(bin: string, more: readonly string[] = []): Promise<TwoHosts> {
  const bridge = `ms${process.pid.toString(36)}`;
  await must(["ip", "link", "add", bridge, "type", "bridge"]);
  const up: LabHost[] = [];
  const stop = async () => {
    await Promise.all(up.map((host) => host.stop()));
    await must(["ip", "link", "del", bridge]);
  };
  try {
    await must(["ip", "link", "set", bridge, "up"]);
    const boot = async (name: LabName, release: Release, added: readonly string[] = []) => {
      const include = [...PACKAGES, ...added];
      const mask = added.map((one) => `${one}.service`);
      const host = await bootHost({ name, release, include, bridge, user: USER, mask });
      up.push(host);
      await connect(host);
      giveBinaries(host, bin);
      await said(host, ["chown", "-R", `${USER}:${USER}`, `/home/${USER}`]);
      return host;
    };
    return {
      phantom: await boot("phantom", "trixie"),
      shadow: await boot("shadow", "bookworm", more),
      bridge,
      stop,
      third: () => boot("attic", "bookworm"),
      shelter: (host, argv, env = {}) => {
        const [name = "shelter", ...rest] = argv;
        return host.run([`${HOME}/bin/${name}`, ...rest], { as: USER, env });
      },
      cable: async (connected) => {
        await must(["ip", "link", "set", bridge, connected ? "up" : "down"]);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Gives a booted host its address: it is not kept over a boot. */
export async function connect(host: LabHost): Promise<void> {
  const address = `${ADDRESS[host.name as LabName]}/24`;
  await said(host, ["ip", "address", "replace", address, "dev", "host0"]);
  await said(host, ["ip", "link", "set", "host0", "up"]);
}

/** Runs a program that must succeed. */
export async function said(host: LabHost, argv: readonly string[], as = "root"): Promise<string> {
  const ran = await host.run(argv, { as });
  if (ran.code === 0) return ran.stdout;
  throw new Error(
    `${host.name}: ${argv.join(" ")} ended with ${ran.code}: ${ran.stderr || ran.stdout}`,
  );
}

/** Gives one host's user a login on the other, as an operator who has set up ssh would have it. */
export async function giveLogin(from: LabHost, to: LabHost): Promise<void> {
  const key = `/home/${USER}/.ssh/id_ed25519`;
  for (const host of [from, to])
    await said(host, ["mkdir", "-p", "-m", "700", `/home/${USER}/.ssh`], USER);
  if ((await from.run(["test", "-e", key])).code !== 0) {
    await said(from, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], USER);
  }
  const publicKey = await said(from, ["cat", `${key}.pub`]);
  const append = [
    "sh",
    "-c",
    'printf %s "$1" >>"$2" && chmod 600 "$2"',
    "sh",
    publicKey,
    `/home/${USER}/.ssh/authorized_keys`,
  ];
  await said(to, append, USER);
}

/** Boots both and pairs phantom with shadow. */
export async function bootPairedHosts(
  bin: string,
  more: readonly string[] = [],
): Promise<TwoHosts> {
  const lab = await bootTwoHosts(bin, more);
  try {
    await pairHosts(lab, lab.phantom, lab.shadow);
    return lab;
  } catch (error) {
    await lab.stop();
    throw error;
  }
}

/** Pairs one host of the lab with another, as an operator with a login there would. */
export async function pairHosts(lab: TwoHosts, one: LabHost, other: LabHost): Promise<void> {
  await giveLogin(one, other);
  const address = ADDRESS[other.name as LabName];
  const accept = await fingerprintOfHost(other);
  const pair = ["shelter", "pair", other.name, "--address", address, "--accept", accept];
  const paired = await lab.shelter(one, pair);
  if (paired.code !== 0) throw new Error(paired.stderr + paired.stdout);
}

/** The fingerprint that a host itself says it has. */
export async function fingerprintOfHost(host: LabHost): Promise<string> {
  const line = await said(host, ["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]);
  return line.split(" ")[1] ?? "";
}

/** All names of the program, hard links kept. */
export function giveBinaries(host: LabHost, bin: string): void {
  const folder = join(host.root, HOME, "bin");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let first: string | undefined;
  for (const name of readdirSync(bin)) {
    if (name.startsWith(".") || name === "hosts" || name === "rescue") continue;
    const to = join(folder, name);
    if (name.includes("SHA256SUMS")) copyFileSync(join(bin, name), to);
    else if (first === undefined) {
      copyFileSync(join(bin, name), to);
      first = to;
    } else linkSync(first, to);
  }
}
