/** One engine as the gateway deals with it: its standing, its open streams, its speed. */
import type { Dial } from "../machine/dial.ts";
import type { EngineConfig } from "./config.ts";
import type { Timings } from "./piece.ts";
import { StreamFault } from "./sse.ts";
import { LEAST, learned, patience, type Flow, type Speed } from "./stall.ts";
import { condemned, proven, unknown, type Standing } from "./standing.ts";

/** A stream that an engine has open for an answer. */
export interface OpenStream {
  flow: Flow;
  /** Milliseconds since its last byte, as far as this process was running. */
  quiet: number;
  /** Whether its silence is judged here; a peer's stream is judged by the peer, who knows what it asked. */
  readonly judged: boolean;
  /** Whether its next bytes are waited for. Where a client does not take what has come, the silence is the client's own. */
  awaited: boolean;
  /** Ends it. */
  readonly abort: (fault: StreamFault) => void;
}

/** A place at an engine. */
export interface Place {
  readonly engine: Engine;
  giveBack(): void;
}

/** Two streams that stall within this time are the engine's fault, in milliseconds. */
const STRIKES_WITHIN = 60_000;

/** An engine: mutable, because all answers look at the same one. */
export class Engine {
  standing: Standing;
  speed: Speed = {};
  readonly open = new Set<OpenStream>();
  /** Milliseconds since any byte of any stream. */
  quiet = 0;
  /** Until when it asked to be left alone (429), by the gateway's clock. */
  busyUntil = 0;
  #taken = 0;
  #strikes: readonly number[] = [];
  /** Names of its models, as it says them itself. */
  models: readonly string[] = [];
  /** Called when it comes up, goes down, or has a free place. */
  onChange: () => void = () => undefined;
  /** Wakes its monitor. */
  onWake: () => void = () => undefined;

  constructor(
    readonly config: EngineConfig,
    readonly dial: Dial,
    /** Its key, read anew for each request: a restarted engine may have another. */
    readonly key: () => string | undefined,
    readonly now: () => number,
  ) {
    this.standing = unknown(now());
  }

  get name(): string {
    return this.config.name;
  }

  /** Whether it may be given an answer now. */
  get free(): boolean {
    return this.up && this.#taken < this.config.slots && this.now() >= this.busyUntil;
  }

  /** Answers that have a place at it. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes a place, which must be given back once. */
  take(): Place {
    this.#taken++;
    let held = true;
    return {
      engine: this,
      giveBack: () => {
        if (!held) return;
        held = false;
        this.#taken--;
        this.onChange();
      },
    };
  }

  get up(): boolean {
    return this.standing.state === "up";
  }

  /** Headers of a request to it. */
  headers(): Record<string, string> {
    const key = this.config.kind === "local" ? this.key() : undefined;
    return {
      "Content-Type": "application/json",
      Accept: "text/event-stream, application/json",
      ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
    };
  }

  /** A stream was opened. */
  enter(abort: (fault: StreamFault) => void, asked: number, judged = true): OpenStream {
    const flow = { asked, slowest: 0, speaking: false };
    const stream: OpenStream = { flow, quiet: 0, judged, awaited: true, abort };
    this.open.add(stream);
    this.onWake();
    return stream;
  }

  /** A stream has ended, well or not. */
  leave(stream: OpenStream): void {
    this.open.delete(stream);
  }

  /** Bytes came on a stream. */
  heard(stream: OpenStream): void {
    stream.quiet = 0;
    this.quiet = 0;
  }

  /** An answer has ended: what it says of the speed. */
  learn(timings: Timings | undefined): void {
    this.speed = learned(this.speed, timings);
  }

  /** Time has passed: streams that have been silent for too long are ended. `alone` says that no other engine could go on. */
  tick(elapsed: number, alone: boolean): void {
    this.quiet += elapsed;
    for (const stream of this.open) {
      if (!stream.awaited) continue;
      stream.quiet += elapsed;
      if (!stream.judged) continue;
      // before its first sign it may wait behind others in the engine: then their progress is its own
      const begun = stream.flow.progress !== undefined || stream.flow.speaking;
      const silence = begun ? stream.quiet : Math.min(stream.quiet, this.quiet);
      if (silence > patience(stream.flow, this.speed, this.open.size, alone)) this.#stalled(stream);
    }
  }

  /** It failed. With `all`, everything that it has open ends too, so that it is carried over at once. */
  condemn(why: string, all: boolean): void {
    const was = this.standing.state;
    this.standing = condemned(this.standing, why, this.now());
    if (all) {
      for (const stream of this.open) {
        stream.abort(new StreamFault("condemned", `the engine on ${this.name} is down: ${why}`));
      }
    }
    if (was !== "down") this.onChange();
    this.onWake();
  }

  /** It has answered a real question. */
  prove(alone: boolean): void {
    const was = this.standing.state;
    this.standing = proven(this.standing, this.now(), alone);
    if (was !== this.standing.state) this.onChange();
  }

  #stalled(stream: OpenStream): void {
    const others = [...this.open].some((one) => one !== stream && one.awaited && one.quiet < LEAST);
    const now = this.now();
    this.#strikes = [...this.#strikes.filter((at) => now - at < STRIKES_WITHIN), now];
    if (!others || this.#strikes.length > 1) this.condemn("a stream stalled", false);
    stream.abort(new StreamFault("stalled", `the engine on ${this.name} has stalled`));
  }
}
