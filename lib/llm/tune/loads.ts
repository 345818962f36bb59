/**
 * What engines are asked while they are tuned. No text comes twice: speculation that remembers what it once wrote would gain on one that an engine was asked
 * before, and a person asks something new. The same in every run. Pure.
 */
import type { Message } from "../complete.ts";

/** Things that a question or a file is about. */
const THINGS = [
  "station",
  "bridge",
  "garden",
  "vessel",
  "parcel",
  "lantern",
  "orchard",
  "market",
  "tunnel",
  "harbor",
  "kettle",
  "wagon",
] as const;

/** What a thing has many of. */
const LISTS = [
  "readings",
  "entries",
  "records",
  "samples",
  "points",
  "weights",
  "prices",
  "scores",
  "levels",
  "marks",
  "delays",
  "costs",
] as const;

/** What a thing has one of. */
const FIELDS = ["altitude", "capacity", "distance", "voltage", "length", "owner", "color"] as const;

/** Everyday questions whose answers are new text: where speculation has nothing to draft from. */
const QUESTIONS: readonly ((thing: string) => string)[] = [
  (thing) => `Why would someone keep an old ${thing}?`,
  (thing) => `Tell me a short story of a ${thing} and a storm.`,
  (thing) => `What should I look at before I pay for a ${thing}?`,
  (thing) => `Explain to a child what a ${thing} is good for.`,
  (thing) => `How does one take care of a ${thing} in winter?`,
  (thing) => `Plan a day for two friends who want to see a ${thing}.`,
  (thing) => `Who would have made the first ${thing}, and how?`,
  (thing) => `Write a letter to a neighbour about a borrowed ${thing}.`,
  (thing) => `What could go wrong on the way to the ${thing}?`,
  (thing) => `Describe a ${thing} to someone who has never seen one.`,
  (thing) => `Give me three names for a ${thing}, each with a reason.`,
  (thing) => `How would you measure a ${thing} without any tools?`,
];

/** How many turns ask something new: each thing with each list. */
export const NEW_TURNS = THINGS.length * LISTS.length;

function from<T>(all: readonly T[], at: number): T {
  const found = all[at % all.length];
  if (found === undefined) throw new Error("nothing to choose from");
  return found;
}

/** A chat's question; `turn` chooses which. Neighbours have nothing in common. */
export function chatPrompt(turn: number): readonly Message[] {
  const ask = from(QUESTIONS, turn + Math.floor(turn / THINGS.length));
  return [{ role: "user", content: ask(from(THINGS, turn)) }];
}

/** A small file as an agent has it open: plain code, with the repetition that code has. */
function file(thing: string, list: string, field: string): string {
  const type = `${thing.charAt(0).toUpperCase()}${thing.slice(1)}`;
  return `import { readFile, writeFile } from "node:fs/promises";

export interface ${type} {
  id: string;
  name: string;
  ${field}: number;
  ${list}: number[];
}

export async function load${type}s(path: string): Promise<${type}[]> {
  const text = await readFile(path, "utf8");
  const ${thing}s = JSON.parse(text) as ${type}[];
  return ${thing}s.filter((${thing}) => ${thing}.${list}.length > 0);
}

export function average(${thing}: ${type}): number {
  let sum = 0;
  for (const value of ${thing}.${list}) {
    sum += value;
  }
  return sum / ${thing}.${list}.length;
}

export function highest(${thing}: ${type}): number {
  let best = -Infinity;
  for (const value of ${thing}.${list}) {
    if (value > best) best = value;
  }
  return best;
}

export async function save${type}s(path: string, ${thing}s: ${type}[]): Promise<void> {
  const text = JSON.stringify(${thing}s, null, 2);
  await writeFile(path, text, "utf8");
}`;
}

/**
 * An agent's edit: the file is in the prompt, the answer is the same file with one name changed. Its first part stands already, as in an answer
 * that goes on, so that also a small model writes the file and nothing else. It ends amid a line's end: templates cut white space off, and a
 * model that has to write the line break again loses the thread (measured).
 */
export function rewritePrompt(turn: number): readonly Message[] {
  const round = Math.floor(turn / THINGS.length);
  const text = file(from(THINGS, turn), from(LISTS, 5 * turn + round), from(FIELDS, turn));
  const begun = text.slice(0, text.indexOf("export function average")).trimEnd();
  return [
    {
      role: "user",
      content: `This is the file:\n\n\`\`\`ts\n${text}\n\`\`\`\n\nWrite it again, with the function "average" renamed to "mean".`,
    },
    { role: "assistant", content: `\`\`\`ts\n${begun}` },
  ];
}
