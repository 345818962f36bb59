/** Reading another host's word: only its form is believed, and only so much of it. Pure. */
import { json, members } from "../facts/text.ts";
import type { Standing } from "../orchestra/board.ts";
import type { Running } from "../orchestra/running.ts";
import { isScriptId } from "../orchestra/names.ts";
import type { Release } from "../release.ts";
import type { HostName } from "../unit.ts";
import { parseWatch } from "../watch/state.ts";
import { type Held, type Holdings, MOST_FILES } from "./holdings.ts";
import type { ToldRow, Word } from "./word.ts";

/** Longest word, in characters. */
export const WORD_LIMIT = 512 * 1024;

/** The word of `from`; undefined where it is none, or another host's. What a newer release adds is passed over. */
export function parseWord(text: string, from: HostName): Word | undefined {
  if (text.length > WORD_LIMIT) return undefined;
  const said = members(json(text));
  const { schema, host, at, home } = said;
  const release = releaseIn(said["release"]);
  const scripts = listOf(said["scripts"], 100, rowIn);
  const running = listOf(said["running"], 100, runningIn);
  const holds = holdingsIn(said["holds"]);
  if (schema !== 1 || host !== from || !isTime(at) || !isText(home)) return undefined;
  if (!release || !scripts || !running || !holds) return undefined;
  const watch = parseWatch(said["watch"]);
  const believed = "damaged" in watch || watch.host !== from ? null : watch;
  return { schema, host: from, at, home, release, scripts, running, holds, watch: believed };
}

/** The release that a word is of, also where the rest of it can't be read; undefined where it says none. */
export function releaseSaid(text: string): Release | undefined {
  return text.length > WORD_LIMIT ? undefined : releaseIn(members(json(text))["release"]);
}

function releaseIn(value: unknown): Release | undefined {
  const { version, commit, dirty, target, bun } = members(value);
  if (!isText(version) || !isText(target) || !isText(bun)) return undefined;
  if (commit !== null && !(isText(commit) && /^[0-9a-f]{7,64}$/.test(commit))) return undefined;
  return { version, commit, dirty: dirty === true, target, bun };
}

const STANDINGS: readonly Standing[] = ["done", "open", "failed", "stale", "elsewhere", "absent"];

function rowIn(value: unknown): ToldRow | undefined {
  const { script, standing, why, at } = members(value);
  const known = STANDINGS.find((one) => one === standing);
  if (typeof script !== "string" || !isScriptId(script) || !known) return undefined;
  if ((why !== undefined && !isText(why)) || (at !== undefined && !isTime(at))) return undefined;
  return {
    script,
    standing: known,
    ...(why === undefined ? {} : { why }),
    ...(at === undefined ? {} : { at }),
  };
}

function runningIn(value: unknown): Running | undefined {
  const { script, pid, since } = members(value);
  if (!isText(script) || !Number.isSafeInteger(pid) || !isTime(since)) return undefined;
  return { script, pid: pid as number, since };
}

function holdingsIn(value: unknown): Holdings | undefined {
  const from = members(value);
  const programs = orNull(from["programs"], heldIn);
  const config = orNull(from["config"], heldIn);
  const files = tableOf(from["files"], heldIn);
  const models = tableOf(from["models"], heldIn);
  const engine = orNull(from["engine"], engineIn);
  if (programs === undefined || config === undefined || engine === undefined) return undefined;
  return files && models ? { programs, config, files, models, engine } : undefined;
}

function heldIn(value: unknown): Held | undefined {
  const { sha256, at } = members(value);
  const sound = typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256) && isTime(at);
  return sound ? { sha256, at } : undefined;
}

function engineIn(value: unknown): NonNullable<Holdings["engine"]> | undefined {
  const { id, tag, backends, flags, at } = members(value);
  const [parts, switches] = [backends, flags].map((list) => listOf(list, 100, textIn));
  if (!isText(id) || !isText(tag) || !isTime(at) || !parts || !switches) return undefined;
  return { id, tag, backends: parts, flags: switches, at };
}

function orNull<T>(value: unknown, read: (value: unknown) => T | undefined): T | null | undefined {
  return value === null ? null : read(value);
}

/** Entries that can't be read are left out: one odd name must not hide all the others. */
function tableOf<T>(
  value: unknown,
  read: (value: unknown) => T | undefined,
): Readonly<Record<string, T>> | undefined {
  const entries = Object.entries(members(value));
  if (entries.length > 2 * MOST_FILES) return undefined;
  return Object.fromEntries(
    entries.flatMap(([name, one]) => {
      const found = isText(name) && name !== "__proto__" ? read(one) : undefined;
      return found === undefined ? [] : [[name, found]];
    }),
  );
}

function listOf<T>(
  value: unknown,
  most: number,
  read: (value: unknown) => T | undefined,
): readonly T[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined;
  return value.flatMap((one: unknown) => read(one) ?? []);
}

function textIn(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}
function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= 2000;
}
function isTime(value: unknown): value is string {
  return typeof value === "string" && value.length < 40 && !Number.isNaN(Date.parse(value));
}
