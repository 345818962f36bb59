/** Places at engines, and the bounded line of those who wait for one. Begun answers go first, then first come, first served. */
import { Refusal } from "./errors.ts";

/** One who waits. */
interface Waiting<T> {
  readonly begun: boolean;
  readonly tryTake: () => T | undefined;
  readonly give: (place: T) => void;
}

/** A line of bounded length. Whoever is in front takes what `tryTake` finds; a turn is tried when something may have changed. */
export class Queue<T> {
  #line: Waiting<T>[] = [];

  constructor(readonly bound: number) {}

  get length(): number {
    return this.#line.length;
  }

  /**
   * A place, now or later. Those whose answer has begun may always wait: they are already counted among the open answers.
   * @throws Refusal 429 "queue_full", or the reason of `signal`.
   */
  async take(tryTake: () => T | undefined, begun: boolean, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    // those who wait come first; what they can't use may be taken at once
    this.turn();
    const now = tryTake();
    if (now !== undefined) return now;
    if (!begun && this.#line.length >= this.bound) {
      throw new Refusal(429, "queue_full", `${this.#line.length} requests wait already`, 5);
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#line = this.#line.filter((one) => one !== waiting);
        reject(signal.reason as Error);
      };
      const waiting: Waiting<T> = {
        begun,
        tryTake,
        give: (place) => {
          signal.removeEventListener("abort", leave);
          resolve(place);
        },
      };
      signal.addEventListener("abort", leave, { once: true });
      const at = begun ? this.#line.findIndex((one) => !one.begun) : -1;
      if (at < 0) this.#line.push(waiting);
      else this.#line.splice(at, 0, waiting);
    });
  }

  /** Something may have changed: each in the line tries, from the front. */
  turn(): void {
    for (const waiting of [...this.#line]) {
      const place = waiting.tryTake();
      if (place === undefined) continue;
      this.#line = this.#line.filter((one) => one !== waiting);
      waiting.give(place);
    }
  }
}
