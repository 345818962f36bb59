/** What the mirror key of a paired host may ask for; the verbs themselves are the mirror's own. */
import { contextOf } from "./request.ts";
import type { Answers } from "./serve.ts";

export const answerMirrorKey: Answers = async (request, trust, verb, words) => {
  const { answerMirror } = await import("../mirror/receive/serve.ts");
  const { input, bytes, print } = request;
  return answerMirror({
    context: contextOf(request),
    trust,
    words: [verb, ...words],
    input,
    bytes,
    print,
  });
};
