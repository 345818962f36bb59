/** The gateway as a program that stays: reads its document, listens, watches its engines, and starts over when the document changes. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { createDial, type Dial } from "../machine/dial.ts";
import { pause } from "../machine/pause.ts";
import { listen, type Listener, type ListenLimits } from "../machine/listen.ts";
import type { Probe } from "../machine/probe.ts";
import { Bodies } from "./bodies.ts";
import type { EngineConfig, GatewayConfig } from "./config.ts";
import { noCounts } from "./counts.ts";
import { Engine } from "./engine.ts";
import { bugNote, errorReply, placeOf, Refusal } from "./errors.ts";
import { groundOf, readDocument, textsOf, type Ground, type Pem } from "./ground.ts";
import { keyIn } from "./key.ts";
import { firstModelOn } from "./mapping.ts";
import { watch } from "./monitor.ts";
import { Pool } from "./pool.ts";
import { serveRelay } from "./relay.ts";
import { serveClient, type House } from "./serve.ts";
import { statusOf } from "./status.ts";

/** What the gateway runs with. */
export interface GatewayOptions {
  readonly probe: Probe;
  /** Its document; the home's when left out. */
  readonly path?: string;
  /** Told once it listens, and again after each change of the document. */
  readonly onReady?: (ready: { readonly port: number; readonly peersPort?: number }) => void;
  /** Told, in one line and without a word of any prompt or answer, what an operator should see. */
  readonly onNote?: (note: string) => void;
  /** Why the document is older than what it is made from; undefined where it is not. */
  readonly outdated?: () => string | undefined;
}

/** How often the document and the certificates are looked at, in milliseconds. */
const RELOAD = 2000;
/** How long open answers may go on when the program ends, in milliseconds. */
const GRACE = 10_000;
/** How long answers that began under an older document may go on: the longest that any client waits. */
const OLD_GRACE = 3_600_000;

/**
 * Serves until `signal` fires; then lets open answers end for ten seconds.
 * A document that becomes wrong while it runs is noted, and the last good one stays in force.
 * @throws ShelterError "gateway-config" for a wrong or missing document at the start, "port-taken", "certificate"
 */
export async function runGateway(options: GatewayOptions, signal: AbortSignal): Promise<void> {
  const { probe, onReady, onNote } = options;
  const path = options.path ?? inHome.gateway(probe.home);
  const counts = noCounts();
  const began = probe.now();
  const bodies = new Bodies();
  const start = (ground: Ground) => open(options, ground, { counts, bodies }, began);
  let told = textsOf(probe, path);
  let running = start(groundOf(probe, readDocument(probe, path)));
  /** Those whose document is no longer in force, while their answers go on. */
  const older = new Set<Running>();
  /** Why nobody can come in, as it was noted last. */
  let shut = "";
  onReady?.(running.ports);
  while (!signal.aborted) {
    await pause(RELOAD, signal);
    if (signal.aborted) break;
    const now = textsOf(probe, path);
    if (isSame(now, told)) {
      if (running.released) startAgain();
      continue;
    }
    const certificatesStay = isSame(now.slice(1), told.slice(1));
    told = now;
    try {
      const config = readDocument(probe, path);
      if (certificatesStay && isSame(withoutModels(config), withoutModels(running.config))) {
        // what a peer serves may change at any time: that alone must not make engines be forgotten
        running.serve(config);
      } else {
        // read before anything is given up: what can't be read must not cost what is in force
        const ground = groundOf(probe, config);
        release();
        running = start(ground);
      }
      onNote?.("the document has changed; the gateway goes on with it");
      onReady?.(running.ports);
    } catch (error) {
      onNote?.(`the document has changed, and the last good one stays: ${sayable(error)}`);
      if (running.released) startAgain();
    }
  }
  await Promise.all([running, ...older].map((one) => one.stop(GRACE)));

  function release(): void {
    const old = running;
    older.add(old);
    void old.release().finally(() => older.delete(old));
  }
  /** On the ground of the document as it is, or of the last good one. Where both fail, e.g. because a port was taken meanwhile, that is tried again with each look. */
  function startAgain(): void {
    const whys: string[] = [];
    for (const ground of [() => groundOf(probe, readDocument(probe, path)), () => running]) {
      try {
        running = start(ground());
        shut = "";
        onReady?.(running.ports);
        return;
      } catch (error) {
        whys.push(sayable(error));
      }
    }
    const why = [...new Set(whys)].join("; ");
    if (why !== shut) onNote?.(`nobody can come in: ${why}`);
    shut = why;
  }
}

/** One generation of the gateway: everything that hangs on one document. */
interface Running extends Ground {
  readonly ports: { readonly port: number; readonly peersPort?: number };
  readonly released: boolean;
  /** Goes on with another list of models. */
  serve(config: GatewayConfig): void;
  /** Gives the ports up; open answers go on. Resolves when all of it is over. */
  release(): Promise<void>;
  stop(grace: number): Promise<void>;
}

function open(
  options: GatewayOptions,
  ground: Ground,
  { counts, bodies }: Pick<House, "counts" | "bodies">,
  began: number,
): Running {
  const { pem } = ground;
  let { config } = ground;
  const { probe, onNote } = options;
  const engines = config.engines.map((one) => engineOf(probe, one, dialFor(one, pem)));
  const pool = new Pool(engines, config.limits, steady);
  const ending = new AbortController();
  const stopTicking = pool.start();
  const watching = engines.map(async (engine) => {
    const looks = {
      signal: ending.signal,
      alone: () => pool.alone(engine),
      model: () => firstModelOn(config.models, engine.name),
    };
    // an engine that nobody watched would stay up or down for ever
    while (!ending.signal.aborted) {
      await watch(engine, looks).catch((error: unknown) => {
        house.bug(error);
        return pause(RELOAD, ending.signal);
      });
    }
  });
  const house: House = {
    pool,
    get models() {
      return config.models;
    },
    warm: config.warm,
    counts,
    bodies,
    key: () => keyIn(probe.text(config.listen.keyFile)),
    status: () => statusOf(config, pool, counts, began, probe.now(), options.outdated?.()),
    bug: (error) => onNote?.(bugNote(error)),
  };
  const refuse = (status: number, why: string) =>
    errorReply(new Refusal(status, "unreadable_request", why));
  const limits: ListenLimits = { ...LISTEN, connections: config.limits.connections };
  const listeners: Listener[] = [];
  try {
    const { address, port } = config.listen;
    listeners.push(
      listen({ address, port, limits, refuse }, (request) => serveClient(house, request)),
    );
    if (config.peers && pem) {
      const local = engines.find((one) => one.config.kind === "local");
      listeners.push(
        listen(
          {
            address: config.peers.address,
            port: config.peers.port,
            limits,
            refuse,
            pairing: { ...pem, allow: config.peers.allow },
          },
          (request) => serveRelay(house, local, request),
        ),
      );
    }
  } catch (error) {
    stopTicking();
    ending.abort(new Error("not started"));
    for (const one of listeners) void one.stop(0);
    throw error;
  }
  let released = false;
  const stop = async (grace: number) => {
    await Promise.all(listeners.map((one) => one.stop(grace)));
    stopTicking();
    ending.abort(new Error("over"));
    await Promise.all(watching);
  };
  const [clients, peers] = listeners;
  return {
    pem,
    get config() {
      return config;
    },
    ports: { port: clients?.port ?? 0, ...(peers ? { peersPort: peers.port } : {}) },
    get released() {
      return released;
    },
    serve(changed) {
      config = changed;
    },
    release() {
      released = true;
      return stop(OLD_GRACE);
    },
    stop,
  };
}

/** The bounds of connections: a head within ten seconds, a body within thirty. */
const LISTEN: Omit<ListenLimits, "connections"> = {
  head: 16 * 1024,
  headTime: 10_000,
  bodyTime: 30_000,
  idleTime: 60_000,
  drainTime: 60_000,
};

function dialFor(engine: EngineConfig, pem: Pem | undefined): Dial {
  if (engine.kind === "local" || !pem) return createDial();
  // a peer has a fingerprint: the document's check saw to it
  return createDial({ ...pem, fingerprint: engine.fingerprint ?? "" });
}

function engineOf(probe: Probe, config: EngineConfig, dial: Dial): Engine {
  const { keyFile } = config;
  const key = keyFile === undefined ? () => undefined : () => keyIn(probe.text(keyFile));
  return new Engine(config, dial, key, steady);
}

/** What waits are measured by: a clock that is set, by an hour or by summer time, makes no wait longer or shorter. Milliseconds since this process began. */
function steady(): number {
  return performance.now();
}

function withoutModels(config: GatewayConfig): GatewayConfig {
  return { ...config, models: [] };
}

/** Whether two values from JSON are the same, members in the same order. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function sayable(error: unknown): string {
  return error instanceof ShelterError ? `${error.what}: ${error.why}` : placeOf(error);
}
