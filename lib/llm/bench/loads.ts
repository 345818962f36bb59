/** What engines are asked for measuring: texts that are the same in every run, so that figures can be compared. Pure. */
import type { Message } from "../complete.ts";

/** Sentences that fill a prompt to a length; about 14 tokens each in common vocabularies. */
const FILLER = [
  "The path climbs from the village past the mill and the last fields of rye.",
  "Below the pass the stream divides around a rock that no one has ever moved.",
  "In the hut there are six beds, a stove, a shelf of maps and one lamp.",
  "Whoever comes first in the evening cuts wood for those who come after.",
  "The weather turns at noon, and by three the ridge is hidden in cloud.",
  "A shepherd counts his flock twice, once by number and once by name.",
  "From the summit one sees two lakes, nine peaks and the smoke of the town.",
  "In winter the road is closed and the mail comes on skis once a week.",
] as const;
const TOKENS_PER_SENTENCE = 15;

/**
 * A prompt of about `tokens` tokens that ends in a question. `turn` makes prompts of one run differ from their first words on, so that no cache
 * of an earlier one shortens them.
 */
export function filledPrompt(tokens: number, turn: number): readonly Message[] {
  const sentences = Math.max(1, Math.round((tokens - 30) / TOKENS_PER_SENTENCE));
  const lines = Array.from(
    { length: sentences },
    (_, i) => FILLER[(i * 3 + turn) % FILLER.length] ?? FILLER[0],
  );
  return [
    {
      role: "user",
      content: `Note ${turn + 1}. ${lines.join(" ")} Tell me what this place is like, in your own words.`,
    },
  ];
}

/** Everyday questions whose answers are new text: where speculation has nothing to draft from. */
const QUESTIONS = [
  "Why is the sky blue in the day and red in the evening?",
  "How do I keep bread from going stale?",
  "Tell me a short story of a lighthouse keeper and a storm.",
  "What should I look at when I buy a used bicycle?",
  "Explain to a child how a bridge holds itself up.",
  "Plan a day in the mountains for two friends and a dog.",
] as const;

/** A chat's question; `turn` chooses which. */
export function chatPrompt(turn: number): readonly Message[] {
  return [{ role: "user", content: QUESTIONS[turn % QUESTIONS.length] ?? QUESTIONS[0] }];
}

/** Names that one function of the rewritten file gets, so that each turn's text is a little different. */
const NAMES = ["readings", "entries", "records", "samples", "values", "points"] as const;

/** A small file as an agent has it open: plain code, with the repetition that code has. */
function file(name: string): string {
  return `import { readFile, writeFile } from "node:fs/promises";

export interface Station {
  id: string;
  name: string;
  altitude: number;
  ${name}: number[];
}

export async function loadStations(path: string): Promise<Station[]> {
  const text = await readFile(path, "utf8");
  const stations = JSON.parse(text) as Station[];
  return stations.filter((station) => station.${name}.length > 0);
}

export function average(station: Station): number {
  let sum = 0;
  for (const value of station.${name}) {
    sum += value;
  }
  return sum / station.${name}.length;
}

export function highest(station: Station): number {
  let best = -Infinity;
  for (const value of station.${name}) {
    if (value > best) best = value;
  }
  return best;
}

export async function saveStations(path: string, stations: Station[]): Promise<void> {
  const text = JSON.stringify(stations, null, 2);
  await writeFile(path, text, "utf8");
}`;
}

/**
 * An agent's edit: the file is in the prompt, the answer is the same file with one name changed. Its first part stands already, as in an answer
 * that goes on, so that also a small model writes the file and nothing else. It ends amid a line's end: templates cut white space off, and a
 * model that has to write the line break again loses the thread (measured).
 */
export function rewritePrompt(turn: number): readonly Message[] {
  const before = NAMES[turn % NAMES.length] ?? NAMES[0];
  const text = file(before);
  const begun = text.slice(0, text.indexOf("export function average")).trimEnd();
  return [
    {
      role: "user",
      content: `This is the file:\n\n\`\`\`ts\n${text}\n\`\`\`\n\nWrite it again, with the function "average" renamed to "mean".`,
    },
    { role: "assistant", content: `\`\`\`ts\n${begun}` },
  ];
}
