/** The watcher as a program that stays: looks, judges, writes down what it is about to do, does it, tells. */
import { asFailure, readable, ShelterError } from "../errors.ts";
import { freeName } from "../keep/aside.ts";
import { inHome } from "../keep/home.ts";
import { takeLock } from "../keep/lock.ts";
import { createUptime, type Uptime } from "../machine/clock.ts";
import type { Notifier } from "../machine/notify.ts";
import { pause } from "../machine/pause.ts";
import { noteContact } from "../peer/contact.ts";
import type { CallContext } from "../unit.ts";
import { decide, type Decision } from "./decide.ts";
import { createEyes } from "./eyes.ts";
import { createHealing, WATCH } from "./heal.ts";
import type { Look } from "./look.ts";
import { isMemory } from "./memory.ts";
import { createTelling } from "./notices.ts";
import { readWatch, TARGETS, watchText, withoutMemory, type WatchState } from "./state.ts";

/** Milliseconds between two looks. */
const TICK = 2000;
/** The state is written at once where it changed, else so often, in milliseconds. */
const WRITE_EVERY = 10_000;
/** How long what is under way may take to end when the watcher is stopped, in milliseconds. */
const GRACE = 5000;

/** What a test may put in the place of the machine's own. */
export interface WatcherOptions {
  readonly uptime?: () => Uptime;
  readonly tick?: number;
}

/**
 * Watches until `context.signal` fires.
 * @throws ShelterError "locked" where another watcher runs in this home.
 */
export async function runWatcher(
  context: CallContext,
  notifier: Notifier,
  options: WatcherOptions = {},
): Promise<void> {
  const { probe, act } = context;
  const lock = await takeLock(probe, act, "watch", { script: WATCH.script });
  if ("busy" in lock) {
    const why = `process ${lock.busy.pid} watches already, since ${lock.busy.since}`;
    throw new ShelterError("locked", "starting the watcher", why, [
      "systemctl",
      "status",
      "shelter-watch",
    ]);
  }
  try {
    await watch(context, notifier, options.uptime ?? (await createUptime()), options.tick ?? TICK);
  } finally {
    notifier.stopping();
    await lock.release();
  }
}

async function watch(
  context: CallContext,
  notifier: Notifier,
  uptime: () => Uptime,
  tick: number,
): Promise<void> {
  const { probe, act, signal } = context;
  const eyes = createEyes(probe, act, uptime, (word) => noteContact(probe, act, word));
  const healing = createHealing(context);
  const telling = createTelling(context);
  const paper = createPaper(context);
  const stumbled = createStumbling(context);
  let last = lastState(context);
  let first = true;
  const turn = async () => {
    const look: Look = {
      ...(await eyes()),
      first,
      acting: healing.acting,
      acted: healing.ended(),
      again: askedAgain(context),
    };
    let decision = decide(last, look, probe.host);
    const written = paper.write(decision, look.moment.uptime);
    if (!written) {
      // what can't be written down is not done, but for a plain restart: that bound holds in memory, too, and a full disk must not end all healing
      const left = decision.deeds.filter(({ rung }) => rung !== "restart");
      const acting = [...look.acting, ...left.map(({ target }) => target)];
      if (left.length > 0) decision = decide(last, { ...look, acting }, probe.host);
    }
    for (const deed of decision.deeds) healing.begin(deed, written);
    const { state, notices } = decision;
    last = state;
    for (const notice of notices) telling.tell(notice);
    if (first) notifier.ready(statusLine(state));
    else notifier.status(statusLine(state));
    first = false;
    notifier.alive();
  };
  while (!signal.aborted) {
    try {
      await turn();
    } catch (error) {
      // no sign of life: if this goes on, systemd starts a watcher that may do better
      stumbled(error);
    }
    await pause(tick, signal);
  }
  const done = new AbortController();
  await Promise.race([
    Promise.all([healing.idle(), telling.idle()]).finally(() => done.abort()),
    pause(GRACE, done.signal),
  ]);
  if (last) paper.end({ ...last, ended: new Date(probe.now()).toISOString() });
}

/** Says why a look failed, once for each reason in a row. */
function createStumbling({ say }: CallContext): (error: unknown) => void {
  let said = "";
  return (error) => {
    const { what, why } = asFailure(readable(error));
    if (said !== why) say.line(`A look failed: ${what}: ${why}`);
    said = why;
  };
}

/** The state on disk: written when it says something else than before, and now and then. */
function createPaper({ probe, act, say }: CallContext) {
  const path = inHome.watch(probe.home);
  let said = "";
  let at = Number.NEGATIVE_INFINITY;
  let failing = false;
  const put = (state: WatchState): boolean => {
    try {
      act.makeFolder(inHome.runtime(probe.home, "state"));
      act.write(path, watchText(state));
      failing = false;
      return true;
    } catch (error) {
      if (!failing) say.line(`${path} can't be written: ${asFailure(readable(error)).why}`);
      failing = true;
      return false;
    }
  };
  return {
    write({ state, deeds }: Decision, now: number): boolean {
      const news = gist(state);
      if (news === said && deeds.length === 0 && now - at < WRITE_EVERY) return true;
      const done = put(state);
      if (done) [said, at] = [news, now];
      return done;
    },
    end: (state: WatchState) => void put(state),
  };
}

/** What of a state is news; figures that move with every look are not. */
function gist(state: WatchState): string {
  const { engine, gateway, peer, others, power, health, alerts, halted, memory } = state;
  const peers = [peer, ...others].map((one) => [one?.name, one?.state]);
  return JSON.stringify([
    ...[engine, gateway, peers, power, halted],
    health.map(({ id, level }) => [id, level]),
    alerts.map(({ id, level, count }) => [id, level, count]),
    TARGETS.map((target) => memory?.rungs[target].tries),
  ]);
}

/** The state of the watcher before. A damaged one is set aside, and its memory is lost: that is said. */
function lastState({ probe, act, say }: CallContext): WatchState | undefined {
  const last = readWatch(probe);
  if (last === undefined) return undefined;
  if (!("damaged" in last) && last.host === probe.host) {
    return isMemory(last.memory) ? last : withoutMemory(last);
  }
  const path = inHome.watch(probe.home);
  const aside = freeName(probe, path, "damaged");
  const why = "damaged" in last ? last.damaged : `it is ${last.host}'s`;
  act.rename(path, aside);
  say.line(`${path}: ${why}. Set aside as ${aside}; what was tried before is forgotten`);
  return undefined;
}

/** The operator's wish, left by `shelter watch --again`. */
function askedAgain({ probe, act }: CallContext): boolean {
  const path = inHome.watchAgain(probe.home);
  if (!probe.stat(path)) return false;
  act.remove(path);
  return true;
}

/** One line for `systemctl status`. */
function statusLine({ engine, gateway, peer, alerts }: WatchState): string {
  const other = peer ? `, ${peer.name} ${peer.state}` : "";
  const count = alerts.length === 1 ? "1 alert" : `${alerts.length} alerts`;
  return `engine ${engine.state}, gateway ${gateway.state}${other}, ${count}`;
}
