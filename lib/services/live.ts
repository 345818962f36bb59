/**
 * Which release serves. The units start `live/<release>/shelter`, and `live/<release>` leads to that release itself until root's act goes back to the
 * one before: then it leads there. So a release can be given up without a unit being written, and what installs the next one finds it as it was.
 */
import { join } from "node:path";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { releaseName } from "../orchestra/releases.ts";
import { BEFORE, CURRENT, LIVE, releaseProgram } from "./places.ts";

/** Name of a release's folder. */
export const RELEASE_ID = /^[0-9a-f]{16}$/;

/** The links as they are; an older release's `current` led to the release itself. */
export interface Links {
  readonly current?: string;
  readonly before?: string;
  /** Of the link in `live/` of one release. */
  readonly serves?: string;
}

/** What the links say. Only names of releases are believed. */
export interface Live {
  /** The release that was installed last. */
  readonly installed?: string;
  /** The release that serves: the installed one, or the one before where that was given up. */
  readonly serving?: string;
  /** The last release that was live and proven when a newer one took its place. */
  readonly before?: string;
}

/** Where the units find a release's program. */
export function liveProgram(release: string): string {
  return join(liveLink(release), "shelter");
}

function liveLink(release: string): string {
  return join(LIVE, release);
}

/** The links, with the one of `release`. */
export function readLinks(probe: Pick<Probe, "stat">, release: string | undefined): Links {
  const target = (path: string) => probe.stat(path)?.target;
  const [current, before] = [target(CURRENT), target(BEFORE)];
  const serves = release === undefined ? undefined : target(liveLink(release));
  return {
    ...(current === undefined ? {} : { current }),
    ...(before === undefined ? {} : { before }),
    ...(serves === undefined ? {} : { serves }),
  };
}

/** Which release is installed, serves, and was before. */
export function readLive(probe: Pick<Probe, "stat">): Live {
  const { current, before } = readLinks(probe, undefined);
  const installed = releaseIn(current?.replace(/^live\//, ""));
  const given = current?.startsWith("live/") === true && installed !== undefined;
  const { serves } = readLinks(probe, given ? installed : undefined);
  const serving = given ? releaseIn(serves?.replace(/^\.\.\//, "")) : installed;
  const kept = given ? releaseIn(before) : undefined;
  return {
    ...(installed === undefined ? {} : { installed }),
    ...(serving === undefined ? {} : { serving }),
    ...(kept === undefined ? {} : { before: kept }),
  };
}

function releaseIn(name: string | undefined): string | undefined {
  return name !== undefined && RELEASE_ID.test(name) ? name : undefined;
}

/** The links for a release that is to serve itself. */
export function linksOf(release: string): Required<Pick<Links, "current" | "serves">> {
  return { current: `live/${release}`, serves: `../${release}` };
}

/** Makes the links what they are given as; one that is left out is removed. `serves` is the one of `release`. */
export function setLinks(
  { probe, act }: { readonly probe: Pick<Probe, "stat" | "list">; readonly act: Act },
  release: string,
  { current, before, serves }: Links,
): void {
  const set = (path: string, target: string | undefined) => {
    if (target !== undefined) act.link(path, target);
    else if (probe.stat(path)) act.remove(path);
  };
  set(BEFORE, before);
  if (serves !== undefined) act.makeFolder(LIVE, 0o755);
  set(liveLink(release), serves);
  // last: until now nothing leads to the others
  set(CURRENT, current);
  if (probe.stat(LIVE) && probe.list(LIVE).length === 0) act.remove(LIVE);
}

/** Has the installed release served by another one from the next start of each service on. */
export function serveFrom(act: Pick<Act, "link">, installed: string, serving: string): void {
  act.link(liveLink(installed), linksOf(serving).serves);
}

/** Whether a release's program is there as it was built, and nobody but root can change it. */
export async function isWhole(probe: Probe, release: string): Promise<boolean> {
  const path = releaseProgram(release);
  if (!isRoots(probe, path, "file")) return false;
  return releaseName(await probe.sha256(path)) === release;
}

/** True for what only root can change. */
export function isRoots(
  probe: Pick<Probe, "stat" | "me">,
  path: string,
  kind: "file" | "dir",
): boolean {
  const found = probe.stat(path);
  const root = probe.me.root ? probe.me.uid : 0;
  return found?.kind === kind && found.uid === root && (found.mode & 0o022) === 0;
}
