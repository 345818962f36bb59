/** How the paired hosts are, for `status`: asked live and all at once; where one is silent, what is left of it here. */
import { inHome } from "../keep/home.ts";
import { readJournal } from "../keep/journal.ts";
import { readStatus } from "../keep/status.ts";
import { runningGateway } from "../gateway/client.ts";
import { fields, type Fields } from "../gateway/piece.ts";
import { liveBuild } from "../llm/builds.ts";
import { namedModels } from "../llm/store.ts";
import { createAct } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import { type Asked, askHost } from "../peer/ask.ts";
import { bringPrograms } from "../peer/channel.ts";
import { type Contact, lastContact, noteContact } from "../peer/contact.ts";
import { lostFailure, lostTrusts, paired } from "../trust/store.ts";
import type { HostName } from "../unit.ts";
import { isStale, type PeerSeen, readWatch, type WatchState } from "../watch/state.ts";
import { kindIn } from "../services/kind.ts";
import { boardOf } from "./board.ts";
import type { Desk } from "./desk.ts";
import type { ToldRow } from "../peer/word.ts";

/** All that this host knows of one paired host. Times are UTC, ISO 8601. */
export interface PeerKnown {
  readonly name: HostName;
  readonly asked: Asked;
  /** The command that brings this host's programs there. */
  readonly bring: readonly string[];
  /** What this host's watcher has seen of it; undefined where no watcher runs. */
  readonly seen?: PeerSeen;
  /** The last answer before this one. */
  readonly before?: Contact;
  /** What has arrived from it, and when. */
  readonly mirror?: { readonly at: string; readonly scripts: readonly ToldRow[] };
}

/** What this host can do alone. */
export interface Alone {
  /** The gateway's own words of who serves; undefined where none answers. */
  readonly gateway?: {
    readonly serves: string | null;
    /** Peers that it can't ask, by name, with the reason. */
    readonly refuses: Readonly<Record<string, string>>;
  };
  readonly engineLive: boolean;
  readonly models: readonly string[];
}

/** Asks. Begins at once; the answers are there when they are awaited. */
export async function knownPeers(desk: Desk): Promise<readonly PeerKnown[]> {
  const { machine, probe } = desk;
  const act = createAct(machine, probe);
  const watch = readWatch(probe);
  const lost = lostTrusts(probe).map(async (one): Promise<PeerKnown> => {
    const { peer } = one;
    const before = lastContact(probe, peer);
    const seen = seenBy(watch, peer, probe.now());
    const mirror = await mirrored(probe, peer);
    return {
      name: peer,
      asked: { answered: false, failure: lostFailure(one, `asking ${peer} how it is`) },
      bring: one.fix,
      ...(seen ? { seen } : {}),
      ...(before ? { before } : {}),
      ...(mirror ? { mirror } : {}),
    };
  });
  return Promise.all([
    ...lost,
    ...paired(probe).map(async (trust): Promise<PeerKnown> => {
      const before = lastContact(probe, trust.name);
      const asked = await askHost(probe, act, trust);
      if (asked.answered) noteContact(probe, act, asked.word);
      const seen = seenBy(watch, trust.name, probe.now());
      const mirror = asked.answered ? undefined : await mirrored(probe, trust.name);
      return {
        name: trust.name,
        asked,
        bring: bringPrograms(trust),
        ...(seen ? { seen } : {}),
        ...(before ? { before } : {}),
        ...(mirror ? { mirror } : {}),
      };
    }),
  ]);
}

/** What works here without any other host. */
export async function aloneHere(probe: Probe): Promise<Alone> {
  const gateway = await runningGateway(probe).catch(() => undefined);
  const serves = gateway?.status["serves"];
  return {
    ...(gateway
      ? {
          gateway: {
            serves: typeof serves === "string" ? serves : null,
            refuses: refusedIn(gateway.status),
          },
        }
      : {}),
    engineLive: liveBuild(probe) !== undefined,
    models: namedModels(probe).flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [name])),
  };
}

function refusedIn(status: Fields): Readonly<Record<string, string>> {
  const engines = Array.isArray(status["engines"]) ? (status["engines"] as readonly unknown[]) : [];
  return Object.fromEntries(
    engines.flatMap((one) => {
      const { name, kind, state, why } = fields(one) ?? {};
      const refused = kind === "peer" && state === "down" && typeof why === "string";
      return refused && typeof name === "string" ? [[name, why]] : [];
    }),
  );
}

function seenBy(
  watch: WatchState | { readonly damaged: string } | undefined,
  name: HostName,
  now: number,
): PeerSeen | undefined {
  if (!watch || "damaged" in watch || isStale(watch, now)) return undefined;
  return [...(watch.peer ? [watch.peer] : []), ...watch.others].find((one) => one.name === name);
}

/** Its board as it arrived here, through the links that lead into the mirror. */
async function mirrored(probe: Probe, name: HostName): Promise<PeerKnown["mirror"]> {
  const arrived = probe.stat(inHome.mirror(probe.home, name, "current"));
  if (!arrived || !probe.stat(inHome.status(probe.home, name))) return undefined;
  const board = boardOf(
    (flag) => readStatus(probe, flag, name),
    readJournal(probe, name),
    probe.now(),
    await kindIn(probe, name),
  );
  return {
    at: new Date(arrived.mtime).toISOString(),
    scripts: board.map(({ script, standing, why, at }) => ({
      script,
      standing,
      ...(why === undefined ? {} : { why }),
      ...(at === undefined ? {} : { at }),
    })),
  };
}
