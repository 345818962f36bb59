/** The engines in their order, and who of them gets the next answer. */
import type { Engine, Place } from "./engine.ts";
import { Refusal } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { Wanted } from "./mapping.ts";
import { TICK } from "./monitor.ts";
import { Queue } from "./queue.ts";

/** What an answer needs of an engine. */
export interface Need {
  readonly wanted: Wanted;
  /** The answer has begun: it goes before those who wait. */
  readonly begun: boolean;
  /** The one that has just failed it: taken again only where there is no other. */
  readonly avoid?: string;
  /** Engines that have said that they can't do this one. */
  readonly unable: ReadonlySet<string>;
}

/** The engines of one gateway, and the line of those who wait for one. */
export class Pool {
  readonly queue: Queue<Place>;

  constructor(
    /** Most preferred first. */
    readonly engines: readonly Engine[],
    readonly limits: Limits,
    readonly now: () => number,
  ) {
    this.queue = new Queue(limits.queue);
    for (const engine of engines) engine.onChange = () => this.queue.turn();
  }

  /** Whether `engine` is the only one that could answer. */
  alone(engine: Engine): boolean {
    return !this.engines.some((one) => one !== engine && one.up);
  }

  /** Stall limits of all open streams are looked at, and those who wait for a busy engine try again. Returns what ends it. */
  start(): () => void {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      // when this process was held up, the engines are not to blame
      const elapsed = Math.min(now - last, 4 * TICK);
      last = now;
      for (const engine of this.engines) engine.tick(elapsed, this.alone(engine));
      if (this.queue.length > 0) this.queue.turn();
    }, 2 * TICK);
    return () => clearInterval(timer);
  }

  /**
   * A place at the most preferred engine that is up, serves the model and has one free; waits for it within the limits. The caller gives it back.
   * @throws Refusal 404 where no engine serves the model, 429 where too many wait, 503 where none is up for too long; the reason of `signal`.
   */
  async placeFor(need: Need, signal: AbortSignal): Promise<Place> {
    const serving = this.#serving(need);
    if (serving.length === 0) {
      throw new Refusal(404, "model_not_found", "no engine serves this model");
    }
    const waiting = new AbortController();
    const leave = () => waiting.abort(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    const began = this.now();
    let downSince: number | undefined;
    const timer = setInterval(() => {
      const now = this.now();
      if (serving.some((one) => one.up)) downSince = undefined;
      else downSince ??= now;
      if (downSince !== undefined && now - downSince >= this.limits.outageTime) {
        waiting.abort(
          new Refusal(503, "no_engine", `no engine is up: ${this.reasons(serving)}`, 5),
        );
      } else if (now - began >= this.limits.queueTime) {
        waiting.abort(new Refusal(503, "queue_timeout", "no engine had a free place in time", 10));
      }
    }, 2 * TICK);
    if (signal.aborted) leave();
    try {
      return await this.queue.take(
        () => this.#choose(serving, need.avoid),
        need.begun,
        waiting.signal,
      );
    } finally {
      clearInterval(timer);
      signal.removeEventListener("abort", leave);
    }
  }

  /** Why each engine is down, for people. */
  reasons(engines: readonly Engine[] = this.engines): string {
    return engines.map((one) => `${one.name} ${one.standing.why ?? one.standing.state}`).join(", ");
  }

  #serving({ wanted, unable }: Need): readonly Engine[] {
    return this.engines.filter((one) => wanted.at(one.name) !== undefined && !unable.has(one.name));
  }

  #choose(serving: readonly Engine[], avoid: string | undefined): Place | undefined {
    const up = serving.filter((one) => one.up);
    const others = up.filter((one) => one.name !== avoid);
    return (others.length > 0 ? others : up).find((one) => one.free)?.take();
  }
}
