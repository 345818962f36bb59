/** Whose a snapshot is: its paths are absolute, so in a copy of a home it leads to the home that it was copied from. */
import type { Probe } from "../machine/probe.ts";
import type { Manifest } from "./snapshot.ts";

/** The home that a snapshot was made in, where that is not this one (by whatever name); undefined where it is. */
export function otherHome(probe: Probe, manifest: Manifest): string | undefined {
  const home = manifest.home ?? homeByPaths(probe.home, manifest);
  if (home === undefined || home === probe.home) return undefined;
  const [there, here] = [home, probe.home].map((path) => probe.stat(probe.real(path) ?? path));
  const same = there && there.inode === here?.inode && there.device === here.device;
  return same === true ? undefined : home;
}

/** Why nothing is taken back by a snapshot of another home. */
export function whyOtherHome(probe: Probe, home: string): string {
  return `it was made in the home ${home}, whose files it names, and this home is ${probe.home}`;
}

/** What takes it back where it was made, or makes this home that one again where it was moved. */
export function fixOtherHome(probe: Probe, home: string, script: string): readonly string[] {
  return probe.stat(home) === undefined
    ? ["mv", probe.home, home]
    : [`./bin/${script}`, "--undo", "--home", home];
}

/** Snapshots of older releases don't name their home. One that names nothing of this home, but what stands in a home, is of another. */
function homeByPaths(home: string, { rounds }: Manifest): string | undefined {
  const paths = rounds.flatMap(({ saved }) => saved.flat().map(({ path }) => path));
  if (paths.some((path) => path === home || path.startsWith(`${home}/`))) return undefined;
  const [other] = paths.flatMap((path) => IN_A_HOME.exec(path)?.groups?.["home"] ?? []);
  return other;
}
const IN_A_HOME =
  /^(?<home>(?!\/(?:etc|usr|sys|proc|run)\/).+?)\/(?:(?:runtime|models|logs|status|agents|dashboards|venv)(?:\/|$)|shared\.cfg$)/;
