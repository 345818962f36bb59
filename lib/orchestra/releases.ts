/** Releases of the one program: runtime/bin/<hash>/shelter, the names in bin/ that lead to one, and the way back to the last. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { temporaryBeside } from "../machine/durable.ts";
import type { CallContext } from "../unit.ts";
import { NAMES, SHELTER } from "./names.ts";

type Hands = Pick<CallContext, "probe" | "act">;

/** Name of a release: the start of its program's SHA-256. */
export function releaseName(sha256: string): string {
  return sha256.slice(0, 16);
}
/** Where a release's program stands. */
export function releaseProgram(home: string, release: string): string {
  return inHome.runtime(home, "bin", release, SHELTER);
}

/**
 * Gives a release its 22 names in `folder` by hard links, one by one and each atomically; the list of hashes comes last.
 * @returns how many names led to another program before.
 */
export function giveNames({ probe, act }: Hands, folder: string, sha256: string): number {
  const program = releaseProgram(probe.home, releaseName(sha256));
  const inode = probe.stat(program)?.inode;
  act.makeFolder(folder, 0o755);
  let replaced = 0;
  for (const name of NAMES) {
    const path = join(folder, name);
    if (probe.stat(path)?.inode === inode) continue;
    const temporary = temporaryBeside(path);
    act.hardLink(program, temporary);
    act.rename(temporary, path);
    replaced++;
  }
  const list = join(folder, "SHA256SUMS");
  const sums = NAMES.map((name) => `${sha256}  ${name}\n`).join("");
  if (probe.text(list) !== sums) act.write(list, sums, 0o644);
  return replaced;
}

/** Makes a release the live one, and the one that was live the last. Nothing changes where it is live already. */
export function setLive({ probe, act }: Hands, release: string): void {
  const { current, last } = releaseLinks(probe.home);
  const before = probe.stat(current)?.target;
  if (before === release) return;
  if (before !== undefined && probe.stat(releaseProgram(probe.home, before))) {
    act.link(last, before);
  }
  act.link(current, release);
}

/** Removes releases that no name and no link leads to, but for the newest: `keep` stay in all. */
export function pruneReleases({ probe, act }: Hands, keep: number): void {
  const top = inHome.runtime(probe.home, "bin");
  const linked = Object.values(releaseLinks(probe.home)).flatMap(
    (link) => probe.stat(link)?.target ?? [],
  );
  const idle = probe
    .list(top)
    .map((name) => ({
      name,
      entry: probe.stat(join(top, name)),
      program: probe.stat(releaseProgram(probe.home, name)),
    }))
    .filter(
      ({ name, entry, program }) =>
        entry?.kind === "dir" && !linked.includes(name) && (program?.links ?? 0) <= 1,
    )
    .sort((a, b) => (b.entry?.mtime ?? 0) - (a.entry?.mtime ?? 0));
  for (const { name } of idle.slice(Math.max(0, keep - linked.length))) act.remove(join(top, name));
}

/**
 * Goes back to the last release: its program gets the names in bin/ again, and what was live is now the last.
 * @throws ShelterError where there is no last release.
 */
export async function goBack({
  probe,
  act,
}: Hands): Promise<{ readonly release: string; readonly replaced: number }> {
  const release = probe.stat(releaseLinks(probe.home).last)?.target;
  const program = release === undefined ? undefined : releaseProgram(probe.home, release);
  if (release === undefined || program === undefined || !probe.stat(program)) {
    throw new ShelterError("no-last-release", "going back to the last release", "none is kept", [
      "./bin/shelter",
      "update",
    ]);
  }
  const sha256 = await probe.sha256(program);
  if (releaseName(sha256) !== release) {
    throw new ShelterError(
      "release-differs",
      program,
      `its hash is ${sha256}: it is not what was built`,
      ["./bin/shelter", "update"],
    );
  }
  const replaced = giveNames({ probe, act }, join(probe.home, "bin"), sha256);
  setLive({ probe, act }, release);
  return { release, replaced };
}

function releaseLinks(home: string) {
  return {
    current: inHome.runtime(home, "bin", "current"),
    last: inHome.runtime(home, "bin", "last"),
  };
}
