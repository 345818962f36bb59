/** Trying again what may pass by itself, with zx's `retry` and its exponential back-off. */

import { loadZx } from "./zx.ts";

/** How often and how patiently. Delays are milliseconds: the first, doubled each time up to the longest. */
export interface Patience {
  readonly times: number;
  readonly first: number;
  readonly longest: number;
}

/**
 * Runs `attempt` until `again` says no to its result, at most `patience.times` times.
 * @returns the last result, good or not.
 * @throws what `attempt` throws, at once, and the reason of `signal` when it fires while waiting.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  again: (result: T) => boolean,
  patience: Patience,
  signal: AbortSignal,
): Promise<T> {
  const first = await attempt();
  if (!again(first) || patience.times < 2) return first;
  signal.throwIfAborted();
  const { retry, expBackoff } = await loadZx();
  let made = 0;
  // what is thrown is boxed: zx would try it again
  const once = async (): Promise<{ readonly result: T } | { readonly error: unknown }> => {
    if (signal.aborted) return { error: signal.reason };
    if (made++ === 0) throw new Error("worth another try"); // the first attempt was made before zx was loaded
    let result: T;
    try {
      result = await attempt();
    } catch (error) {
      return { error };
    }
    // zx would wait after the last failure too, so that one is not thrown
    if (made < patience.times && again(result)) throw new Error("worth another try");
    return { result };
  };
  const delays = expBackoff(`${patience.longest}ms`, `${patience.first}ms`);
  let interrupt: (() => void) | undefined;
  const interrupted = new Promise<{ readonly error: unknown }>((resolve) => {
    interrupt = () => resolve({ error: signal.reason });
    signal.addEventListener("abort", interrupt, { once: true });
  });
  // an attempt that runs when the signal fires ends by itself and is waited for; only the waiting in between is cut short
  let running: Promise<unknown> = Promise.resolve();
  const tracked = () => {
    const one = once();
    running = one.catch(() => undefined);
    return one;
  };
  try {
    const ended = await Promise.race([
      retry(patience.times, delays, tracked),
      interrupted.then(async (cut) => {
        await running;
        return cut;
      }),
    ]);
    if ("error" in ended) throw ended.error;
    return ended.result;
  } finally {
    if (interrupt) signal.removeEventListener("abort", interrupt);
  }
}
