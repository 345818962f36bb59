/** Failures that nobody took: a program that serves many must not end for one of them. */

/**
 * Hears of each promise whose failure nobody took, in the place of the process's end that this would mean (Bun 1.4.4).
 * Returns what makes it mean that again.
 */
export function onStray(take: (error: unknown) => void): () => void {
  process.on("unhandledRejection", take);
  return () => void process.off("unhandledRejection", take);
}
