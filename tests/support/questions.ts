/**
 * Questions whose next token is never a near tie: where two are almost as likely, the engine itself answers differently from run to run, as its
 * sums depend on what else is in the batch (measured: 2 of 24 cold continuations of free prose, 0 of 48 with batch-invariant kernels).
 */
export const QUESTIONS = [
  "Count from 1 to 100.",
  "Count from 1 to 60.",
  "List the even numbers from 2 to 200.",
  "Count from 1 to 80.",
] as const;
