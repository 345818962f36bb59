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
