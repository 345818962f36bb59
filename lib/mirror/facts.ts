/** What a mirror looks at: this host's own things, and what each peer says of itself. Reads only, here and there. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import { lookAtConfig, retentionOf } from "../hosts/config.ts";
import type { Probe } from "../machine/probe.ts";
import { bringPrograms } from "../peer/channel.ts";
import type { Trust } from "../trust/offer.ts";
import { lostFailure, lostTrusts, paired } from "../trust/store.ts";
import type { Args, Failure, HostName } from "../unit.ts";
import { type Version, versionsOf } from "./conflicts.ts";
import {
  agreedWith,
  heldModels,
  homeHashes,
  lookAtShared,
  missingModels,
  modelHashes,
  programOf,
  releaseKey,
} from "./held.ts";
import { isKnownPath, isUnderWay } from "./choice.ts";
import { type ModelPlan, planModels } from "./models.ts";
import { type OwnSide, ownSide } from "./own.ts";
import { isShared, isWithin, releaseFolder } from "./places.ts";
import { type Mark, readMark } from "./receive/mark.ts";
import { resetConfig } from "./reset.ts";
import { judgeRelease, lookAtRelease, type ReleaseLook, type ReleaseVerdict } from "./release.ts";
import { rememberedManifest } from "./remembered.ts";
import { ask, ciphersFor, mirrorSsh, readingHands } from "./talk.ts";
import { agreedOf, differ, merge, type Merge, type State, type States } from "./three_way.ts";
import { lookAtTimer, type TimerFacts } from "./timer.ts";
import { type Vanished, vanishedTops } from "./vanished.ts";
import { type Manifest, parseState, type PeerState } from "./wire.ts";

/** How one peer stands. */
export type PeerFacts =
  | { readonly name: HostName; readonly reached: false; readonly failure: Failure }
  | ReachedPeer;

/** A peer that answered. */
export interface ReachedPeer {
  readonly name: HostName;
  readonly reached: true;
  readonly state: Omit<PeerState, "manifest" | "shared" | "agreed" | "models">;
  readonly own: OwnSide;
  readonly merge: Merge;
  /** Shared folders of which nothing is left here, and a shared.cfg that was begun anew. */
  readonly vanished: readonly Vanished[];
  /** What both sides have of each path in conflict. */
  readonly versions: readonly Version[];
  readonly models: ModelPlan;
  readonly release: ReleaseLook & ReleaseVerdict;
  /** The programs that the peer built for this host, where others are live here (their hash), and what is remembered of its earlier ones. */
  readonly offered: { readonly program: State; readonly mark: Mark };
  /** All that is agreed on once the plan is carried out, and on which side that is not written down yet. */
  readonly agreed: States;
  readonly unknown: { readonly here: boolean; readonly there: boolean };
  /** Whether the path that was chosen is anything between the two; left out where none was. */
  readonly knowsChoice?: boolean;
}

/** Facts of a mirror. */
export interface MirrorFacts {
  readonly host: HostName;
  readonly home: string;
  readonly now: number;
  readonly root: boolean;
  readonly keep: number;
  readonly timer: TimerFacts;
  readonly peers: readonly PeerFacts[];
  /** Models whose files changed and whose bytes did not: read again each time until that is noted. */
  readonly touched: readonly string[];
  /** Why shared.cfg is not sent on; undefined where it is sound. */
  readonly configDamaged?: string;
  /** The path that was chosen, where it is nothing that this host and its peers could differ in. */
  readonly strayChoice?: string;
}

/** A choice of the person's: `--take mine|theirs PATH`. */
export interface Choice {
  readonly take: "mine" | "theirs";
  readonly path: string;
}

/** The choice that the flags make; undefined where they make none. */
export function choiceOf(want: Args): Choice | undefined {
  const { take, path } = want;
  if ((take !== "mine" && take !== "theirs") || typeof path !== "string") return undefined;
  return { take, path };
}

/** Looks at this host and asks each peer. */
export async function observeMirror(probe: Probe, want: Args): Promise<MirrorFacts> {
  const peers = paired(probe);
  const ciphers = ciphersFor(probe);
  // the peers are asked first: they look at themselves while we do
  const asked = peers.map((trust) => askState(probe, trust, ciphers));
  const hashes = homeHashes(probe);
  const config = await lookAtConfig(probe);
  const models = modelHashes(probe);
  const touched = heldModels(probe, models).filter((one) => one.suspect);
  const anew = want["verify"] === true ? heldModels(probe, models) : touched;
  for (const one of anew) await models.anew(one.sha256);
  const choice = choiceOf(want);
  const found: PeerFacts[] = [];
  const shared = await lookAtShared(probe, hashes);
  const mine = {
    shared: shared.states,
    refused: shared.refused.map((one) => one.path),
    hashes,
    models: heldModels(probe, models),
    choice,
    config: config.state,
  };
  for (const one of asked) {
    try {
      found.push(await lookAtPeer(probe, one, mine));
    } catch (error) {
      if (!(error instanceof ShelterError)) throw error;
      found.push({ name: one.trust.name, reached: false, failure: error.failure() });
    }
  }
  for (const one of lostTrusts(probe)) {
    const failure = lostFailure(one, `mirroring to ${one.peer}`);
    found.push({ name: one.peer, reached: false, failure });
  }
  return {
    host: probe.host,
    home: probe.home,
    now: probe.now(),
    root: probe.me.root,
    keep: (await retentionOf(probe)).mirrors,
    timer: await lookAtTimer(probe),
    peers: found,
    touched: heldModels(probe, models)
      .filter((one) => !one.damaged && touched.some(({ sha256 }) => sha256 === one.sha256))
      .map((one) => one.sha256),
    ...(isSound(config.state) ? {} : { configDamaged: config.state }),
    ...(choice && found.every((one) => one.reached && !one.knowsChoice) && !isUnderWay(probe)
      ? { strayChoice: choice.path }
      : {}),
  };
}

/** What a peer said, and what was looked at here meanwhile, on the guess that it has what it was sent last. */
interface Asked {
  readonly trust: Trust;
  readonly answer: Promise<string>;
  readonly remembered: ReturnType<typeof rememberedManifest>;
}

function askState(probe: Probe, trust: Trust, ciphers: readonly string[]): Asked {
  const remembered = rememberedManifest(probe, trust.name);
  const hands = readingHands(probe);
  const argv = mirrorSsh(hands, probe.home, trust, ciphers);
  const words = ["state", ...(remembered ? [remembered.digest] : [])];
  const answer = ask(hands, argv, trust, words);
  answer.catch(() => undefined); // awaited later, peer by peer
  return { trust, answer, remembered };
}

/** This host's side, as far as it is the same for all peers. */
interface Mine {
  readonly shared: States;
  /** Shared paths of which it can't be told here what they are: they count as unchanged. */
  readonly refused: readonly string[];
  readonly hashes: ReturnType<typeof homeHashes>;
  readonly models: ReturnType<typeof heldModels>;
  readonly choice: Choice | undefined;
  readonly config: string;
}

async function lookAtPeer(
  probe: Probe,
  { trust, answer, remembered }: Asked,
  mine: Mine,
): Promise<ReachedPeer> {
  const peer = trust.name;
  const { choice, config } = mine;
  const settled = new Set(choice?.take === "mine" ? [choice.path] : []);
  const compare = (held: Manifest | undefined, release: boolean) =>
    ownSide(probe, peer, held, mine.hashes, { release, sentAnyway: settled });
  // while the peer looks at itself: what it was sent last is most likely what it has
  const last = remembered?.manifest();
  const withRelease = last?.files.some((one) => one.path.startsWith(releaseFolder(peer))) ?? false;
  const early = last ? await compare(last, withRelease) : undefined;
  const state = parseState(await answer, peer, bringPrograms(trust));
  const asRemembered = last !== undefined && state.digest === remembered?.digest;
  const records = { mine: agreedWith(probe, peer), theirs: state.agreed };
  const onlyShared = (states: States) =>
    Object.fromEntries(Object.entries(states).filter(([path]) => isShared(path)));
  const base = agreedOf(records.mine, records.theirs);
  const theirs = onlyShared(state.shared);
  const vanished = [
    ...vanishedTops(probe, mine.shared, theirs, base, settled),
    ...resetConfig(probe, mine.shared, theirs, base, settled),
  ];
  const stays = [...mine.refused, ...vanished.map((one) => one.top), ...state.closed];
  const merged = merge(
    mine.shared,
    theirs,
    { mine: onlyShared(records.mine), theirs: onlyShared(records.theirs) },
    settled,
    (path) => (path === "shared.cfg" && !isSound(config)) || isClosed(path, stays),
  );
  const look = await lookAtRelease(probe, peer, mine.hashes);
  const judged = judgeRelease(look, base, state, peer, settled);
  const { goes } = judged;
  const own =
    early && asRemembered && goes === withRelease
      ? early
      : await compare(state.manifest ?? (asRemembered ? last : undefined), goes);
  const files = own.fresh.reduce((sum, one) => sum + one.bytes, 0);
  const models = planModels(mine.models, missingModels(probe), state, records, settled, files);
  const agreed = {
    ...merged.agreed,
    ...models.agreed,
    ...releasesAgreed(base, [peer, probe.host]),
    ...(goes && look.program !== null ? { [releaseKey(peer)]: look.program } : {}),
  };
  const { manifest: _, shared: __, agreed: ___, models: ____, ...light } = state;
  return {
    name: peer,
    reached: true,
    state: light,
    own,
    merge: merged,
    vanished,
    versions: await versionsOf(probe, trust, merged.conflicts),
    models,
    release: { ...look, ...judged },
    offered: {
      program: state.built === programOf(probe, join(probe.home, "bin")) ? null : state.built,
      mark: readMark(probe, peer),
    },
    agreed,
    ...(choice
      ? {
          knowsChoice: isKnownPath(probe, peer, choice.path, {
            states: [mine.shared, theirs, records.mine, records.theirs],
            models: [...mine.models, ...state.models].map((one) => one.sha256),
          }),
        }
      : {}),
    unknown: { here: differ(agreed, records.mine), there: differ(agreed, records.theirs) },
  };
}

/** True where one side has something at or above `path` that is not mirrored. */
function isClosed(path: string, closed: readonly string[]): boolean {
  return closed.some((one) => isWithin(path, one));
}

function isSound(config: string): boolean {
  return config === "ok" || config === "absent";
}

/** What was agreed on about programs, in both directions. */
function releasesAgreed(base: States, hosts: readonly HostName[]): States {
  return Object.fromEntries(
    hosts.flatMap((host) => {
      const state = base[releaseKey(host)];
      return state === undefined ? [] : [[releaseKey(host), state]];
    }),
  );
}
