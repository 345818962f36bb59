/** `shelter gateway run`: the gateway as a service. Keeps its document as this host is, and serves by it. */
import { asFailure, readable, ShelterError } from "../errors.ts";
import { bugNote } from "../gateway/errors.ts";
import { readDocument } from "../gateway/ground.ts";
import { runGateway } from "../gateway/run.ts";
import { inHome } from "../keep/home.ts";
import { takeLock } from "../keep/lock.ts";
import type { Notifier } from "../machine/notify.ts";
import { pause } from "../machine/pause.ts";
import { onStray } from "../machine/stray.ts";
import type { CallContext } from "../unit.ts";
import { gatewayDocument, mayWrite } from "./gateway_document.ts";
import { damagedTrusts, gatewayFacts, peersPem } from "./gateway_facts.ts";
import { ensureKey } from "./key.ts";
import { PeerLists } from "./peer_lists.ts";
import { inServices } from "./places.ts";

/** Between two looks at what the document is made from, in milliseconds: a pairing or a model is taken up within it. */
const EVERY = 15_000;
/** Name of the lock that the gateway holds while it runs. */
const LOCK = "gateway";

/**
 * Serves until `context.signal` fires. A document of the operator's own is served by as it is. Where a new one can't be made, e.g. because shared.cfg
 * is damaged, the last good one is served by.
 * @throws what `runGateway` throws, ShelterError "locked", and why no document can be made where there is no good one
 */
export async function runGatewayService(context: CallContext, notifier: Notifier): Promise<void> {
  const { probe, act, say, signal } = context;
  const lock = await takeLock(probe, act, LOCK, { script: "08_shelter_cli" });
  if ("busy" in lock) {
    const why = `process ${lock.busy.pid} serves already, since ${lock.busy.since}`;
    throw new ShelterError("locked", "starting the gateway", why, [
      "systemctl",
      "status",
      "shelter-gateway",
    ]);
  }
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  let alive: ReturnType<typeof setInterval> | undefined;
  // a mistake in one answer must not cost all others theirs
  const noMoreStrays = onStray((error) => say.line(bugNote(error)));
  try {
    ensureKey(context, inServices.gatewayKey(probe.home));
    const standing: Standing = { why: undefined };
    const note = (why: string | undefined) => {
      if (why === standing.why) return;
      standing.why = why;
      say.line(
        why === undefined ? "The document is up to date" : `The document stays as it is: ${why}`,
      );
      notifier.status(why === undefined ? "serves" : `serves by an older document: ${why}`);
    };
    try {
      // its peers are asked once it listens: a dead one would hold up the start
      note(await keepDocument(context, new PeerLists()));
    } catch (error) {
      if (!hasGoodDocument(context)) throw error;
      note(whyOf(error));
    }
    const tending = tend(context, note, until);
    // its ticks need the same event loop as every answer: where that hangs, systemd starts it anew
    if (notifier.every !== undefined) alive = setInterval(() => notifier.alive(), notifier.every);
    await runGateway(
      {
        probe,
        onReady: ({ port, peersPort }) => {
          const peers = peersPort === undefined ? "" : `; paired hosts come in at ${peersPort}`;
          const where = `http://127.0.0.1:${port}/v1${peers}`;
          say.line(`Listening on ${where}`);
          const old = standing.why === undefined ? "" : `, by an older document: ${standing.why}`;
          notifier.ready(`listening on ${where}${old}`);
        },
        onNote: (line) => say.line(line),
        outdated: () => standing.why,
      },
      signal,
    );
    notifier.stopping();
    over.abort(new Error("over"));
    await tending;
  } finally {
    clearInterval(alive);
    over.abort(new Error("over"));
    noMoreStrays();
    await lock.release();
  }
}

/** Why the document could not be made anew when that was tried last. */
interface Standing {
  why: string | undefined;
}

/** Looks again and again. What can't be read leaves the document as it is, and is noted. */
async function tend(
  context: CallContext,
  note: (why: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  const lists = new PeerLists();
  while (!signal.aborted) {
    try {
      note(await keepDocument(context, lists, signal));
    } catch (error) {
      if (signal.aborted) return;
      note(whyOf(error));
    }
    await pause(EVERY, signal);
  }
}

function whyOf(error: unknown): string {
  const { what, why } = asFailure(readable(error));
  return `${what}: ${why}`;
}

function hasGoodDocument({ probe }: CallContext): boolean {
  try {
    readDocument(probe, inHome.gateway(probe.home));
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes the document and the peers' certificates where they changed; with `ask`, peers are asked what they serve.
 * @returns what of it could not be made anew, and why.
 */
async function keepDocument(
  { probe, act }: CallContext,
  lists: PeerLists,
  ask?: AbortSignal,
): Promise<string | undefined> {
  const path = inHome.gateway(probe.home);
  if (!mayWrite(probe.text(path))) return undefined;
  const facts = await gatewayFacts(probe, ask);
  ask?.throwIfAborted();
  const pem = peersPem(probe);
  const file = inServices.peers(probe.home);
  if ((probe.text(file) ?? "") !== pem) act.write(file, pem, 0o600);
  const now = performance.now();
  const peers = facts.peers.map((one) => ({
    ...one,
    served: lists.take(one.name, one.served, now),
  }));
  const document = gatewayDocument({ ...facts, peers });
  if (document !== facts.before) act.write(path, document, 0o600);
  const [damaged, ...more] = damagedTrusts(probe).map(
    (one) => `in what it says of ${one.peer}: ${one.path} is damaged: ${one.damage}`,
  );
  return damaged && [damaged, ...more].join("; ");
}
