/** The way from a top folder to a path below it: nothing is written where a link stands on it, because that would lead elsewhere. */
import { join } from "node:path";
import type { Probe } from "../machine/probe.ts";

/** The first thing on the way to `path` (relative to `top`) that is there and no folder; undefined where the way is clear. */
export function linkOnTheWay(
  probe: Pick<Probe, "stat">,
  top: string,
  path: string,
): string | undefined {
  return foldersOn(path).find((folder) => {
    const kind = probe.stat(join(top, folder))?.kind;
    return kind !== undefined && kind !== "dir";
  });
}

/** The folders that a relative path goes through, outermost first. */
export function foldersOn(path: string): readonly string[] {
  const folders: string[] = [];
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    folders.push(path.slice(0, at));
  }
  return folders;
}
