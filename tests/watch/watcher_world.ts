/** A watcher in a world of its own: a gateway's address, an engine's, a paired host behind TLS, systemd and root's socket, all as a test wants them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createAct, type Act } from "../../lib/machine/act.ts";
import { createProbe } from "../../lib/machine/probe.ts";
import { ACT_SOCKET } from "../../lib/services/verbs.ts";
import type { CallContext } from "../../lib/unit.ts";
import { runWatcher } from "../../lib/watch/run.ts";
import { readWatch, type WatchState } from "../../lib/watch/state.ts";
import { FAKE_HOME, fakeMachine, type FakeWorld } from "../support/fake_machine.ts";
import { watchedHome, type WatchedHome } from "../support/watched_home.ts";

export const HOST = "here";
/** What `systemctl show` says of a unit that was killed, and of one that runs. */
export const FAILED = "LoadState=loaded\nActiveState=failed\nResult=signal\nExecMainStatus=9\n";
export const ACTIVE = "LoadState=loaded\nActiveState=active\n";

/** A watcher that was started; `told` is what systemd hears of it. */
export interface Started {
  readonly told: readonly string[];
  stop(): Promise<void>;
}

export class WatcherWorld {
  readonly world: FakeWorld;
  readonly watched: WatchedHome;
  /** `systemctl show` of each unit. */
  readonly unit = { engine: ACTIVE, gateway: ACTIVE };
  /** Root's answer, and what it was asked. */
  readonly root = { asked: [] as string[], answer: "ok" };
  /** What the paired host says over the witness key; it is not there while this is undefined. */
  word: object | undefined;
  /** How ssh ends then. */
  refusal = { code: 255, stderr: "connect: refused" };
  /** Milliseconds since boot: moves by two seconds with each look. */
  uptime = 1_000_000;
  readonly lines: string[] = [];
  /** The watcher's hands; a test may tie one. */
  readonly hands: { -readonly [Name in keyof Act]: Act[Name] };
  readonly #folder = mkdtempSync(join(tmpdir(), "shelter-watch-"));
  readonly #server: { stop(force: boolean): void };
  readonly #running: { readonly controller: AbortController; readonly done: Promise<void> }[] = [];

  constructor() {
    this.world = fakeMachine({
      files: {
        "/run": { folder: true },
        "/etc/systemd/system/shelter-engine.service":
          "[Service]\nExecStart=/x engine run --build b-0123456789ab --before b-ba9876543210\n",
      },
      fetch: (url, init) => fetch(url, init),
      programs: {
        systemctl: (argv) => ({
          stdout: this.unit[argv.at(-1) === "shelter-engine.service" ? "engine" : "gateway"],
        }),
        [basename(process.execPath)]: () => ({ code: 0 }), // 00_check_structure
        ssh: () => (this.word === undefined ? this.refusal : { stdout: JSON.stringify(this.word) }),
      },
    });
    this.watched = watchedHome(this.#folder, this.world.path(FAKE_HOME), FAKE_HOME);
    this.hands = createAct(this.world.machine, this.eyes());
    const { root } = this;
    this.#server = Bun.listen({
      unix: this.world.path(ACT_SOCKET),
      socket: {
        data(socket, data) {
          root.asked.push(data.toString().trim());
          socket.end(`${root.answer}\n`);
        },
      },
    });
  }

  eyes() {
    return createProbe(this.world.machine, FAKE_HOME, HOST);
  }

  /** The engine dies, and stays so. */
  killEngine(unit = FAILED): void {
    this.unit.engine = unit;
    this.watched.answers.engine = "down";
    this.watched.answers.health = 500;
  }

  /** Starts a watcher that looks every few milliseconds. */
  start(): Started {
    const told: string[] = [];
    const controller = new AbortController();
    const nothing = () => undefined;
    const line = (text: string) => void this.lines.push(text);
    const context: CallContext = {
      probe: this.eyes(),
      act: this.hands,
      signal: controller.signal,
      say: { line, detail: nothing, progress: nothing, stream: nothing },
    };
    const notifier = {
      every: undefined,
      ready: () => void told.push("ready"),
      status: nothing,
      alive: () => {
        this.uptime += 2000;
        told.push("alive");
      },
      stopping: () => void told.push("stopping"),
    };
    const options = { uptime: () => ({ uptime: this.uptime, asleep: 0 }), tick: 2 };
    const done = runWatcher(context, notifier, options);
    this.#running.push({ controller, done: done.catch(nothing) });
    return {
      told,
      async stop() {
        controller.abort(new Error("told to stop"));
        await done;
      },
    };
  }

  /** The state on disk, once it is as wanted. */
  async state(holds: (state: WatchState) => boolean): Promise<WatchState> {
    let last: ReturnType<typeof readWatch>;
    for (const end = performance.now() + PATIENCE; performance.now() < end; await Bun.sleep(5)) {
      last = readWatch(this.eyes());
      if (last && !("damaged" in last) && holds(last)) return last;
    }
    throw new Error(`never so; last: ${JSON.stringify(last)}\n${this.lines.join("\n")}`);
  }

  async stopAll(): Promise<void> {
    for (const { controller, done } of this.#running.splice(0)) {
      controller.abort(new Error("over"));
      await done;
    }
  }

  async dispose(): Promise<void> {
    await this.stopAll();
    this.watched.stop();
    this.#server.stop(true);
    this.world.dispose();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** On a busy machine, in milliseconds. */
const PATIENCE = 20_000;

export async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + PATIENCE; !holds(); await Bun.sleep(5)) {
    if (performance.now() > end) throw new Error("never so");
  }
}

/** True once a watcher judges. */
export function calm({ memory }: WatchState): boolean {
  return (memory?.watched ?? 0) > (memory?.calmUntil ?? 0);
}
