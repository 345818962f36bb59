/**
 * A control group of its own for each host of the lab. Two hosts in one would meet there: the units of both have the same names, so that one's systemd takes a
 * group away while the other's puts a program into it (exit 219, systemd.exec(5)), and one's MemoryMax counts what the other uses.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { dirname, join } from "node:path";

const TOP = "/sys/fs/cgroup";

/** The group's folder in each hierarchy that is mounted: systemd's own ones at their top, controllers of version 1 below where we are ourselves. */
function foldersOf(group: string): readonly string[] {
  return readFileSync("/proc/self/cgroup", "utf8")
    .trimEnd()
    .split("\n")
    .flatMap((line) => {
      const [, controllers = "", path = "/"] = line.split(":");
      // a new group has no processors there, and takes nobody in
      if (controllers === "cpuset") return [];
      if (controllers === "") {
        const unified = join(TOP, "unified");
        return [join(existsSync(unified) ? unified : TOP, group)];
      }
      if (controllers.startsWith("name=")) return [join(TOP, controllers.slice(5), group)];
      return [join(TOP, controllers, path, group)];
    })
    .filter((folder) => existsSync(join(dirname(folder), "cgroup.procs")));
}

/** A command line that runs `argv` in the group, which is made. */
export function inGroup(group: string, argv: readonly string[]): readonly string[] {
  const folders = foldersOf(group);
  const enter =
    'n=$1; shift; while [ "$n" -gt 0 ]; do mkdir -p "$1" && echo $$ >"$1/cgroup.procs"; shift; n=$((n - 1)); done; exec "$@"';
  return ["sh", "-c", enter, "sh", String(folders.length), ...folders, ...argv];
}

/** Takes the group and all below it away, once its processes have ended. */
export async function removeGroup(group: string): Promise<void> {
  for (const folder of foldersOf(group)) {
    for (let tries = 0; existsSync(folder); tries++) {
      try {
        removeTree(folder);
      } catch (error) {
        if (tries === 50) throw error;
        await Bun.sleep(100);
      }
    }
  }
}

/** Only its folders can be removed, from the lowest up; its files go with them. */
function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
