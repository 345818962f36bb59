/** The last time that a paired host answered, and what it said then: what there is to show of it once it is gone. */
import { dirname } from "node:path";
import { json, members } from "../facts/text.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { HostName } from "../unit.ts";
import type { Word } from "./word.ts";
import { parseWord } from "./word_parse.ts";

/** A contact. `at` is by this host's clock, UTC, ISO 8601. */
export interface Contact {
  readonly at: string;
  readonly word: Word;
}

/** The last contact; undefined where there was none, or its note can't be read. */
export function lastContact(
  probe: Pick<Probe, "home" | "text">,
  peer: HostName,
): Contact | undefined {
  const { schema, at, word } = members(json(probe.text(inHome.contact(probe.home, peer)) ?? ""));
  if (schema !== 1 || typeof at !== "string" || Number.isNaN(Date.parse(at))) return undefined;
  const said = parseWord(JSON.stringify(word) ?? "", peer);
  return said ? { at, word: said } : undefined;
}

/** Notes a contact. Tells of nothing where it can't: a look at another host must work from a read-only home too. */
export function noteContact(probe: Probe, act: Act, word: Word): void {
  const path = inHome.contact(probe.home, word.host);
  const at = new Date(probe.now()).toISOString();
  try {
    act.makeFolder(dirname(path));
    act.write(path, JSON.stringify({ schema: 1, at, word }));
  } catch {
    // then the contact before this one, or none, is what the next look has
  }
}

/** Notes that a host has answered without a word of how it is: what it said before is kept as its last. */
export function touchContact(probe: Probe, act: Act, peer: HostName): void {
  const last = lastContact(probe, peer);
  if (last) noteContact(probe, act, last.word);
}
