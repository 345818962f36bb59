/** What a paired host says of itself over the witness key: its clock, and its watcher's last state. */
import { json, members } from "../facts/text.ts";
import type { HostName } from "../unit.ts";
import { parseWatch, type WatchState, withoutMemory } from "./state.ts";

/** A host's word. */
export interface Heard {
  /** Its clock, in milliseconds since 1970. */
  readonly at: number;
  /** Its watcher's last state; undefined where it has no watcher. */
  readonly watch?: WatchState;
  /** Age of that by its own clock, in milliseconds. */
  readonly watcherAge?: number;
}

/** Reads a host's word; undefined where it is none, or another host's. */
export function parseHeard(text: string, from: HostName): Heard | undefined {
  const said = members(json(text));
  const at = typeof said["at"] === "string" ? Date.parse(said["at"]) : Number.NaN;
  if (said["schema"] !== 1 || said["host"] !== from || Number.isNaN(at)) return undefined;
  if (said["watch"] === undefined || said["watch"] === null) return { at };
  const watch = parseWatch(said["watch"]);
  if ("damaged" in watch || watch.host !== from) return { at };
  return { at, watch: withoutMemory(watch), watcherAge: Math.max(0, at - Date.parse(watch.at)) };
}
