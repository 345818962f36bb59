/** A reading that is taken now and then, beside the watcher's looks: a slow one never holds a look up. */

/** The last reading, and when it is taken again. Times are milliseconds of the kernel's uptime. */
export class Gauge<T> {
  #value: T | undefined;
  #taken = Number.NEGATIVE_INFINITY;
  #busy: Promise<void> | undefined;

  /** `every` is the pause between two readings. A reading that throws leaves the last one standing. */
  constructor(
    private readonly read: () => Promise<T> | T,
    private readonly every: number,
  ) {}

  /** The last reading; begins a new one where it is due. Undefined before the first has come. */
  at(now: number): T | undefined {
    if (!this.#busy && now - this.#taken >= this.every) this.#begin(now);
    return this.#value;
  }

  /** Makes a reading due at the next look, where the last one is older than `age`. */
  hurry(now: number, age: number): void {
    if (now - this.#taken >= age) this.#taken = Number.NEGATIVE_INFINITY;
  }

  /** Resolves when no reading is under way. */
  async idle(): Promise<void> {
    await this.#busy;
  }

  #begin(now: number): void {
    this.#taken = now;
    // one that needs no waiting is there at once
    let came: Promise<T> | T;
    try {
      came = this.read();
    } catch {
      return;
    }
    if (!(came instanceof Promise)) {
      this.#value = came;
      return;
    }
    this.#busy = this.#await(came);
  }

  async #await(came: Promise<T>): Promise<void> {
    try {
      this.#value = await came;
    } catch {
      // the last reading stands
    }
    this.#busy = undefined;
  }
}
