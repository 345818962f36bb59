/** One booted Debian host of the lab: systemd as PID 1 in a container, with a network of its own. */
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { freshRoot, must, type Release } from "./base.ts";
import { inGroup, removeGroup } from "./cgroups.ts";

/** How to make a host. */
export interface HostOptions {
  readonly name: string;
  readonly release?: Release;
  /** Debian packages beyond what boots. */
  readonly include?: readonly string[];
  /** A bridge to join; without one the host is alone with its loopback. */
  readonly bridge?: string;
  /** A login to make, with this name and uid 1000. */
  readonly user?: string;
  /** Units of its packages that must not start by themselves. */
  readonly mask?: readonly string[];
}

/** What a program on the host said. `code` is 128 + n after signal n. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running host. */
export interface LabHost {
  readonly name: string;
  /** Its root folder, as we see it. */
  readonly root: string;
  /** Runs a program on it, as root or as the host's user, with a login's plain environment. */
  run(
    argv: readonly string[],
    options?: { readonly as?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Said>;
  /** Puts a file on it, owned by root. */
  copyIn(from: string, to: string): void;
  /** Cuts its power: no program on it gets to do or say anything more. */
  cutPower(): Promise<void>;
  /** Boots it again, with what is on its disk. */
  powerOn(): Promise<void>;
  /** Cuts its power, and removes all that it was. */
  stop(): Promise<void>;
}

/** Seconds that booting may take on a busy machine. */
const BOOT_SECONDS = 120;

/** Boots a host and waits until its systemd is done starting. */
export async function bootHost(options: HostOptions): Promise<LabHost> {
  const root = await freshRoot(options.release ?? "bookworm", options.include ?? []);
  let nspawn: Bun.Subprocess | undefined;
  let leader = 0;
  const run = runner(() => leader);
  const powerOn = async () => {
    nspawn = startNspawn(root, options);
    const console_ = collectConsole(nspawn);
    leader = await leaderOf(nspawn, console_);
    await booted(run, console_);
  };
  const cutPower = async () => {
    // with its PID 1 all of the host goes, and nspawn with that; nspawn's own end would leave it running
    if (isFirst(leader)) process.kill(leader, "SIGKILL");
    else nspawn?.kill("SIGKILL");
    await nspawn?.exited;
  };
  const stop = async () => {
    await cutPower();
    rmSync(root, { recursive: true, force: true });
    rmSync(join(dirname(root), `.#${root.slice(dirname(root).length + 1)}.lck`), { force: true });
    await removeGroup(groupOf(options));
  };
  try {
    prepare(root, options);
    if (options.user !== undefined) {
      const add = [
        "useradd",
        "--create-home",
        "--uid",
        "1000",
        "--shell",
        "/bin/bash",
        options.user,
      ];
      await must(["chroot", root, ...add]);
    }
    await powerOn();
    return {
      name: options.name,
      root,
      run,
      cutPower,
      powerOn,
      stop,
      copyIn(from, to) {
        mkdirSync(dirname(join(root, to)), { recursive: true });
        cpSync(from, join(root, to));
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const groupOf = ({ name }: HostOptions) => `shelter-lab-${process.pid.toString(36)}-${name}`;

function startNspawn(root: string, options: HostOptions): Bun.Subprocess {
  const { name, bridge } = options;
  const network = bridge === undefined ? "--private-network" : `--network-bridge=${bridge}`;
  // should this process be killed, the kernel sends nspawn what makes it power the host off
  return Bun.spawn(
    inGroup(groupOf(options), [
      ...["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--register=no"],
      ...["--keep-unit", "--boot", "--console=pipe", `--directory=${root}`],
      ...[`--machine=${name}-${process.pid.toString(36)}`, `--hostname=${name}`, network],
    ]) as string[],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
}

function prepare(root: string, { name, mask = [] }: HostOptions): void {
  for (const unit of mask) symlinkSync("/dev/null", join(root, "etc/systemd/system", unit));
  writeFileSync(join(root, "etc/hostname"), `${name}\n`);
  writeFileSync(join(root, "etc/hosts"), `127.0.0.1 localhost\n127.0.1.1 ${name}\n`);
  writeFileSync(join(root, "etc/machine-id"), ""); // one of its own, made at boot
}

/** Keeps the end of what the host prints, for when it does not come up. */
function collectConsole(nspawn: Bun.Subprocess): () => string {
  let tail = "";
  const decoder = new TextDecoder();
  for (const stream of [nspawn.stdout, nspawn.stderr]) {
    if (!(stream instanceof ReadableStream)) continue;
    void (async () => {
      for await (const chunk of stream) tail = (tail + decoder.decode(chunk)).slice(-4000);
    })();
  }
  return () => tail;
}

/** The host's PID 1 as we number it: the one descendant of nspawn that is number 1 in a namespace of its own. */
async function leaderOf(nspawn: Bun.Subprocess, console_: () => string): Promise<number> {
  for (let tries = 0; tries < 300; tries++) {
    if (nspawn.exitCode !== null) throw new Error(`the host did not start:\n${console_()}`);
    const found = descendants(nspawn.pid).find((pid) => isFirst(pid));
    if (found !== undefined) return found;
    await Bun.sleep(100);
  }
  throw new Error(`the host has no PID 1:\n${console_()}`);
}

function isFirst(pid: number): boolean {
  const numbers = /^NSpid:\s+(.+)$/m.exec(textOf(`/proc/${pid}/status`))?.[1]?.split(/\s+/) ?? [];
  return (
    numbers.length > 1 && numbers.at(-1) === "1" && textOf(`/proc/${pid}/comm`) === "systemd\n"
  );
}

function descendants(of: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^PPid:\s+(\d+)$/m.exec(textOf(`/proc/${name}/status`))?.[1] ?? -1);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  const open = [of];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    found.push(...(parents.get(pid) ?? []));
    open.push(...(parents.get(pid) ?? []));
  }
  return found;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it ended while we looked
  }
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function runner(leader: () => number): LabHost["run"] {
  return async (argv, { as = "root", env = {} } = {}) => {
    const home = as === "root" ? "/root" : `/home/${as}`;
    const plain = { HOME: home, USER: as, LOGNAME: as, PATH, LANG: "C.UTF-8", ...env };
    const pairs = Object.entries(plain).map(([name, value]) => `${name}=${value}`);
    const person =
      as === "root" ? [] : ["setpriv", `--reuid=${as}`, `--regid=${as}`, "--init-groups"];
    const child = Bun.spawn(
      [
        ...["nsenter", "--target", String(leader()), "--all", `--wd=/`],
        ...["env", "--ignore-environment", `--chdir=${home}`, ...pairs, ...person, ...argv],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, stdout, stderr };
  };
}

async function booted(run: LabHost["run"], console_: () => string): Promise<void> {
  const deadline = Date.now() + BOOT_SECONDS * 1000;
  let state = "";
  while (Date.now() < deadline) {
    state = (await run(["systemctl", "is-system-running"])).stdout.trim();
    if (state === "running") return;
    if (state === "degraded") {
      const failed = (await run(["systemctl", "--failed", "--no-legend", "--plain"])).stdout;
      throw new Error(`the host started with failed units:\n${failed}`);
    }
    await Bun.sleep(250);
  }
  throw new Error(`the host is "${state}" after ${BOOT_SECONDS} s:\n${console_()}`);
}
