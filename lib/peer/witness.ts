/** What the witness key of a paired host may ask for: how this one is. Reads only. */
import { contextOf } from "./request.ts";
import type { Answers } from "./serve.ts";
import { collectWord } from "./word.ts";
import { refused } from "./words.ts";

export const answerWitness: Answers = async (request, _trust, verb) => {
  if (verb !== "status") throw refused(`witness may not ask for ${verb}`);
  const { probe, act } = contextOf(request);
  request.print(JSON.stringify(await collectWord(probe, act)));
  return 0;
};
