/** 02_scaffold_dirs: what is there of a home, and what is still to be made. Observing reads; all else is pure. */
import {
  configFindings,
  onlyLooks,
  configRepair,
  type ConfigFacts,
} from "../hosts/config_repair.ts";
import { lookAtConfig } from "../hosts/config.ts";
import { inHome } from "../keep/home.ts";
import type { Probe } from "../machine/probe.ts";
import type { Args, Finding, HostName, Owner, Step } from "../unit.ts";
import { freeName } from "../keep/aside.ts";
import { FOLDER_MODE, isInTheWay, lookAtFolders, type FoundFolder } from "./layout.ts";
import { isPrivate } from "./modes.ts";

/** A home before or after its scaffolding. */
export interface ScaffoldFacts {
  readonly home: string;
  readonly host: HostName;
  readonly me: { readonly uid: number; readonly root: boolean };
  readonly owner: Owner;
  readonly folders: readonly FoundFolder[];
  readonly config: ConfigFacts;
  /** The nearest folder above a home that is still to be made, and whether it can take one. */
  readonly ground: {
    readonly path: string;
    readonly isFolder: boolean;
    readonly readOnly: boolean;
  };
}

/** Looks at the folders and shared.cfg. */
export async function observeScaffold(probe: Probe): Promise<ScaffoldFacts> {
  const path = inHome.config(probe.home);
  return {
    home: probe.home,
    host: probe.host,
    me: { uid: probe.me.uid, root: probe.me.root },
    owner: probe.owner,
    folders: lookAtFolders(probe),
    config: { path, reading: await lookAtConfig(probe), aside: freeName(probe, path, "damaged") },
    ground: groundOf(probe),
  };
}

/** The missing folders, closed private ones, and shared.cfg where there is none or a damaged one. What an operator wrote is never overwritten. */
export function planScaffold({ home, folders, config }: ScaffoldFacts): readonly Step[] {
  const below = (which: (folder: FoundFolder) => boolean) => {
    const tops = folders.filter(which).map(({ path }) => `${path}/`);
    return (path: string) => tops.some((top) => path.startsWith(top));
  };
  const isShut = below(isInTheWay);
  // what is behind an operator's link (a larger disk, say) has the modes that they gave it
  const isElsewhere = below(({ path, standing }) => standing === "link-to-folder" && path !== home);
  const steps: Step[] = [];
  for (const { path, standing, mode, what } of folders) {
    if (isShut(path)) continue;
    if (standing === "absent") steps.push({ do: "dir", path, mode: FOLDER_MODE, why: what });
    else if (
      mode !== undefined &&
      mode !== FOLDER_MODE &&
      isPrivate(path.slice(home.length + 1), "dir") &&
      !isElsewhere(path)
    ) {
      steps.push({ do: "attr", path, mode: FOLDER_MODE, why: "its owner's alone" });
    }
  }
  steps.push(...configRepair(config));
  return steps;
}

/** What stands in the way, and what shared.cfg says. */
export function diagnoseScaffold(facts: ScaffoldFacts, want: Args): readonly Finding[] {
  const { folders, config, ground, me, owner } = facts;
  const found: Finding[] = folders.filter(isInTheWay).map(({ path, what, standing }) => ({
    id: `in-the-way:${path.slice(facts.home.length + 1)}`,
    level: "fail",
    what: `${path} should be a folder (${what})`,
    why:
      standing === "leads-nowhere"
        ? "it is a link that leads nowhere"
        : "something else has its name, and only you know what it is",
    evidence: path,
    fix: ["mv", path, `${path}.aside`],
  }));
  const plan = planScaffold(facts);
  if (plan.length > 0 && ground.readOnly) {
    found.push({
      id: "read-only",
      level: "fail",
      what: `nothing can be made in ${ground.path}: its file system is mounted read-only`,
      why: "after a disk error the kernel mounts it so by itself",
      evidence: "/proc/self/mounts",
      fix: ["findmnt", "-T", ground.path],
    });
  }
  if (!ground.isFolder) {
    found.push({
      id: "no-ground",
      level: "fail",
      what: `${ground.path} is not a folder, so no home can be made in it`,
      why: "a home needs a folder to stand in",
      evidence: ground.path,
      fix: ["ls", "-ld", ground.path],
    });
  }
  if (plan.length > 0 && !me.root && me.uid !== owner.uid) {
    found.push({
      id: "not-yours",
      level: "fail",
      what: `the home ${facts.home} belongs to user ${owner.uid}`,
      why: `you are user ${me.uid}, and what you made in it would not be its owner's`,
      evidence: facts.home,
      fix: ["sudo", "-u", `#${owner.uid}`, "./bin/02_scaffold_dirs"],
    });
  }
  return [...found, ...configFindings(config, onlyLooks(want))];
}

/** What shared.cfg leaves open, once somebody has begun to fill it in. */
export function unaskedOfScaffold({ config, host, home }: ScaffoldFacts): readonly Finding[] {
  if (config.reading.state !== "ok") return [];
  const { hosts } = config.reading.config;
  const edit = ["nano", config.path];
  if (hosts.length === 0) {
    return [
      {
        id: "alone",
        level: "info",
        what: "shared.cfg names no host: this one stands alone",
        why: "with two, each carries the other's answers, models and backups; the form stands in the file as a comment",
        evidence: config.path,
        fix: edit,
      },
    ];
  }
  const found: Finding[] = [];
  if (!hosts.some(({ name }) => name === host)) {
    found.push({
      id: "not-in-config",
      level: "warn",
      what: `shared.cfg names ${hosts.map(({ name }) => name).join(" and ")}, and this host is ${host}`,
      why: "nothing that is set for a host holds here; an entry's `hostname` ties it to a system's name",
      evidence: config.path,
      fix: edit,
    });
  }
  const own = hosts.find(({ name }) => name === host);
  if (own?.home !== undefined && own.home.startsWith("/") && own.home !== home) {
    found.push({
      id: "other-home",
      level: "warn",
      what: `shared.cfg says that this host's home is ${own.home}, and this run's is ${home}`,
      why: "two homes on one host have two records, and neither knows of the other",
      evidence: config.path,
      fix: ["./bin/02_scaffold_dirs", "--home", own.home, "--plan"],
    });
  }
  const mute = hosts.filter(({ name, address }) => name !== host && address === undefined);
  if (mute.length > 0) {
    found.push({
      id: "no-address",
      level: "info",
      what: `shared.cfg has no address for ${mute.map(({ name }) => name).join(", ")}`,
      why: "a peer without an address can't be reached for mirror and failover",
      evidence: config.path,
      fix: edit,
    });
  }
  return found;
}

function groundOf(probe: Probe): ScaffoldFacts["ground"] {
  let path = probe.home;
  while (path !== "/" && probe.stat(path) === undefined)
    path = path.slice(0, path.lastIndexOf("/")) || "/";
  const real = probe.real(path);
  const isFolder = real !== undefined && probe.stat(real)?.kind === "dir";
  return { path, isFolder, readOnly: probe.space(path)?.readOnly ?? false };
}
