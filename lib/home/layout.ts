/** The folders of a home, as data: what 02_scaffold_dirs makes and 00_check_structure watches over. */
import { join } from "node:path";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName, Owner } from "../unit.ts";

/** Every folder of ours is its owner's alone. */
export const FOLDER_MODE = 0o700;

/** One folder of a home and what it is for. */
export interface Folder {
  readonly path: string;
  readonly what: string;
}

/** All folders of a home on this host, parents first. */
export function foldersOf(home: string, host: HostName): readonly Folder[] {
  return [
    { path: home, what: "the home" },
    { path: join(home, "agents"), what: "manifests of agents" },
    { path: join(home, "dashboards"), what: "pages" },
    { path: join(home, "logs"), what: "what was done" },
    { path: join(home, "logs", "memory"), what: "the detail of each run" },
    { path: join(home, "logs", "memory", host), what: "the detail of each run on this host" },
    { path: join(home, "logs", "journal"), what: "the record of acting runs" },
    { path: inHome.journal(home, host), what: "the record of this host's acting runs" },
    { path: inHome.models(home), what: "models, by name" },
    { path: inHome.store(home), what: "models, by hash" },
    { path: inHome.runtime(home), what: "what is built and fetched" },
    { path: inHome.locks(home), what: "who is at work" },
    { path: inHome.snapshots(home), what: "what --undo goes back to" },
    { path: inHome.work(home), what: "partial downloads and build trees" },
    { path: inHome.quarantine(home), what: "damaged files, set aside" },
    { path: inHome.status(home, host).slice(0, -host.length - 1), what: "outcomes" },
    { path: inHome.status(home, host), what: "this host's last outcomes" },
    { path: join(home, "venv"), what: "Python environments of the agents" },
  ];
}

/** What stands where a folder should be. "leads-nowhere" is a link whose target is not there. */
export type Standing = "folder" | "link-to-folder" | "absent" | "file" | "other" | "leads-nowhere";

/** A folder of the home as it was found. */
export interface FoundFolder extends Folder {
  readonly standing: Standing;
  /** Of a folder itself; left out for all else. */
  readonly mode?: number;
  readonly owner?: Owner;
}

/** Looks at each folder of the home. */
export function lookAtFolders(probe: Probe): readonly FoundFolder[] {
  return foldersOf(probe.home, probe.host).map((folder) => {
    const entry = probe.stat(folder.path);
    if (entry === undefined) return { ...folder, standing: "absent" };
    if (entry.kind === "link") return { ...folder, standing: behind(probe, folder.path) };
    if (entry.kind !== "dir") return { ...folder, standing: entry.kind };
    const { mode, uid, gid } = entry;
    return { ...folder, standing: "folder", mode, owner: { uid, gid } };
  });
}

/** True where something stands in the way of a folder and only a person can say what it is. */
export function isInTheWay({ standing }: FoundFolder): boolean {
  return standing === "file" || standing === "other" || standing === "leads-nowhere";
}

function behind(probe: Probe, path: string): Standing {
  const real = probe.real(path);
  const entry = real === undefined ? undefined : probe.stat(real);
  if (entry === undefined) return "leads-nowhere";
  return entry.kind === "dir" ? "link-to-folder" : "other";
}
