/** What `status` says of a paired host: alive, or since when not, what is stale of it here, and what still works without it. Pure. */
import { releaseName, releaseOrder } from "../peer/other_release.ts";
import { RELEASE } from "../release.ts";
import { duration } from "../report/text.ts";
import type { ToldRow, Word } from "../peer/word.ts";
import type { Alert } from "../watch/state.ts";
import type { Alone, PeerKnown } from "./peers.ts";

/** One paired host, as `status --json` gives it. Times are UTC, ISO 8601. */
export interface PeerView {
  readonly name: string;
  readonly state: "up" | "down" | "unknown";
  /** Since when it is so, where that is known. */
  readonly since?: string;
  /** When it last answered. */
  readonly last_seen?: string;
  readonly why?: string;
  readonly fix?: readonly string[];
  /** Where its board below is from, and of when. */
  readonly source?: "live" | "mirror" | "last contact";
  readonly as_of?: string;
  readonly scripts: readonly ToldRow[];
  readonly running: readonly string[];
  readonly services?: { readonly engine: string; readonly gateway: string };
  readonly alerts: readonly Alert[];
  /** Its clock less ours, in milliseconds. */
  readonly clock_off_ms?: number;
  /** What keeps the two from working together, though it answers, and the command for it. */
  readonly troubles?: readonly { readonly what: string; readonly fix: readonly string[] }[];
  readonly stale: readonly string[];
  readonly works: readonly string[];
  readonly missing: readonly string[];
}

/** Differences of the clocks that are worth a word, in milliseconds. */
const CLOCK_OFF = 60_000;

/** Brings together what is known. `now` in milliseconds since 1970. */
export function peerView(known: PeerKnown, alone: Alone, now: number): PeerView {
  const { name, asked, seen } = known;
  if (asked.answered) {
    const { word, clockOff } = asked;
    return {
      ...{ name, state: "up", source: "live", as_of: word.at, last_seen: word.at },
      ...(seen?.state === "up" ? { since: seen.since } : {}),
      ...ofWord(word),
      ...(Math.abs(clockOff) >= CLOCK_OFF ? { clock_off_ms: Math.round(clockOff) } : {}),
      troubles: [...release(word, known.bring), ...certificate(name, alone, clockOff)],
      ...{ stale: [], works: [], missing: [] },
    };
  }
  const { failure } = asked;
  // another host key, or a refusal, is an answer of somebody: not a host that is gone
  const state = failure.id === "peer-unreachable" ? "down" : "unknown";
  const last = latest(seen?.lastSeen, known.before?.at);
  const since = seen?.state === "down" ? seen.since : undefined;
  const lost = failure.id === "trust-damaged";
  const why = !lost && seen?.state === "down" && seen.why !== undefined ? seen.why : failure.why;
  const kept = keptOf(known);
  return {
    ...{ name, state, why },
    ...(since === undefined ? {} : { since }),
    ...(last === undefined ? {} : { last_seen: last }),
    ...(failure.fix ? { fix: failure.fix } : {}),
    ...kept,
    ...{ running: [], alerts: [] },
    stale: staleOf(known, kept.as_of, now),
    works: worksAlone(alone, name),
    missing: missingOf(known, alone),
  };
}

type Troubles = NonNullable<PeerView["troubles"]>;

function release({ release: theirs }: Word, bring: readonly string[]): Troubles {
  const order = releaseOrder(RELEASE, theirs);
  if (order === undefined) return [];
  const word = order === "other" ? "of another release" : `${order} than this host's`;
  const what = `its programs are ${word}: ${releaseName(theirs)}, here ${releaseName(RELEASE)}`;
  return [{ what, fix: order === "newer" ? ["./bin/shelter", "update"] : bring }];
}

/** Other reasons not to ask it are its own, and its services say them. */
function certificate(name: string, { gateway }: Alone, clockOff: number): Troubles {
  const why = gateway?.refuses[name] ?? "";
  if (!why.includes("certificate")) return [];
  const what = `the gateway here asks it nothing: ${why}`;
  // made anew by a clock that is wrong it would be no better
  const clockFirst = why.includes("not valid yet") && Math.abs(clockOff) >= CLOCK_OFF;
  const renew = ["./bin/shelter", "pair", name, "--renew"];
  return [{ what, fix: clockFirst ? ["timedatectl", "status"] : renew }];
}

function ofWord(word: Word): Pick<PeerView, "scripts" | "running" | "services" | "alerts"> {
  const { watch } = word;
  return {
    scripts: word.scripts,
    running: word.running.map((one) => one.script),
    ...(watch ? { services: { engine: watch.engine.state, gateway: watch.gateway.state } } : {}),
    alerts: watch?.alerts ?? [],
  };
}

/** The younger of what has arrived from it and what it said last. */
function keptOf({ mirror, before }: PeerKnown): Pick<PeerView, "source" | "as_of" | "scripts"> {
  if (mirror && (!before || mirror.at >= before.at)) {
    return { source: "mirror", as_of: mirror.at, scripts: mirror.scripts };
  }
  if (!before) return { scripts: [] };
  return { source: "last contact", as_of: before.at, scripts: before.word.scripts };
}

function staleOf(
  { name, mirror }: PeerKnown,
  asOf: string | undefined,
  now: number,
): readonly string[] {
  const old = (at: string) => {
    const age = now - Date.parse(at);
    return age < 60_000 ? "less than a minute" : duration(age);
  };
  return [
    asOf === undefined
      ? `nothing is known here of where the scripts of ${name} stand`
      : `where its scripts stand is ${old(asOf)} old`,
    mirror
      ? `what was mirrored from it is ${old(mirror.at)} old`
      : "nothing of it was ever mirrored here",
  ];
}

function worksAlone({ gateway, engineLive, models }: Alone, name: string): readonly string[] {
  const held = models.length === 0 ? "no model" : models.join(", ");
  const ask = engineLive && models.length > 0;
  return [
    ...(gateway?.serves ? [`the gateway here: ${gateway.serves} answers`] : []),
    ...(gateway && !gateway.serves ? ["the gateway here listens, but no engine answers"] : []),
    ask
      ? `ask and serve on this host, with ${held}`
      : `no answer comes from this host alone: ${engineLive ? "no model is installed" : "no engine is live"}`,
    `all scripts on this host; what ${name} is to get waits for it`,
  ];
}

function missingOf({ before }: PeerKnown, { models }: Alone): readonly string[] {
  const there = Object.keys(before?.word.holds.models ?? {});
  const only = there.filter((name) => !models.includes(name));
  return [
    "an answer that breaks off here is carried over to nobody",
    ...(only.length > 0 ? [`models that only it has: ${only.join(", ")}`] : []),
  ];
}

function latest(...times: readonly (string | undefined)[]): string | undefined {
  return times
    .flatMap((one) => one ?? [])
    .sort()
    .at(-1);
}
