/** Small file systems for tests, in a mount namespace of their own: nothing is left when the test ends, however it ends. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** A small file system at `folder`, seen only through `through`. */
export interface SmallDisk {
  readonly folder: string;
  /** Put before a command: it then sees the disk. */
  readonly through: readonly string[];
  /** A path on the disk, as a test that is not in the namespace can reach it. */
  outside(path: string): string;
  /** Runs a program that must succeed, and sees the disk. */
  inside(...argv: readonly string[]): Promise<void>;
  end(): Promise<void>;
}

/** Mounts a tmpfs at `folder` with these mount options, e.g. "size=8m,nr_inodes=200". Needs root. */
export async function smallDisk(folder: string, options: string): Promise<SmallDisk> {
  mkdirSync(folder, { recursive: true });
  const script = 'mount -t tmpfs -o "$2" tmpfs "$1" && echo ready && exec sleep infinity';
  const holder = Bun.spawn(
    [
      ...["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"],
      ...["sh", "-c", script, "sh", folder, options],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const reader = holder.stdout.getReader();
  const { value } = await reader.read();
  if (!new TextDecoder().decode(value).startsWith("ready")) {
    throw new Error(`could not mount a tmpfs (${options})`);
  }
  const through = ["nsenter", "--mount", "--target", String(holder.pid), "--"];
  return {
    folder,
    through,
    outside: (path) => join(`/proc/${holder.pid}/root`, path),
    async inside(...argv) {
      const child = Bun.spawn([...through, ...argv], { stdio: ["ignore", "ignore", "pipe"] });
      const said = await new Response(child.stderr).text();
      if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")}: ${said}`);
    },
    async end() {
      holder.kill("SIGKILL");
      await holder.exited;
    },
  };
}
