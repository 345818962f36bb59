/** Ending a pairing: on both hosts where this one's operator says it, on this one where the other says it. */
import { runUnit, type RunOptions } from "../engine.ts";
import { EXIT, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { createAct } from "../machine/act.ts";
import { createProbe } from "../machine/probe.ts";
import { byOwnLogin } from "../trust/exchange.ts";
import type { Trust } from "../trust/offer.ts";
import { readTrust } from "../trust/store.ts";
import { PAIR_ID, partners, unpairUnit } from "../trust/unpair.ts";
import type { Call, CallContext, Failure, HostName, RunReport } from "../unit.ts";
import { peerFailure, sayToPeer } from "./channel.ts";

/** The verb, for the operator's key and for the operator's own login. */
export const PART = "part";

/** What is asked of the peer. */
export type Telling =
  /** Nothing: it is the peer that says it. */
  | "not"
  /** It takes back its side first; where it can't be told, nothing is done here either. */
  | "must"
  /** The same, but where it can't be told this side is taken back alone, and the report says what is left. */
  | "if-it-answers";

/** How a run is carried out. */
export type PartOptions = Pick<RunOptions, "machine" | "home" | "host" | "say" | "signal">;

/** Ends the pairing with `peer`. The report's `left` names what stays on the other host. */
export async function part(
  options: PartOptions,
  peer: HostName,
  telling: Telling,
): Promise<RunReport> {
  const { machine, home, host } = options;
  const untold: Failure[] = [];
  const tell: Call | undefined =
    telling === "not"
      ? undefined
      : async (context) => {
          try {
            await tellPeer(context, peer);
          } catch (error) {
            if (telling !== "if-it-answers" || !(error instanceof ShelterError)) throw error;
            untold.push(error.failure());
          }
        };
  const report = await runUnit(unpairUnit(peer, tell), {
    ...options,
    want: { yes: true },
    mode: "apply",
  });
  if (EXIT[report.outcome] !== 0) return report;
  const probe = createProbe(machine, home, host);
  const act = createAct(machine, probe);
  // it holds copies of this host's private keys
  act.remove(inHome.snapshots(home, report.run));
  if (partners(probe).length === 0) {
    for (const run of probe.list(inHome.snapshots(home))) {
      if (run.endsWith(`-${PAIR_ID}`)) act.remove(inHome.snapshots(home, run));
    }
  }
  const left = untold.map(
    ({ why }) =>
      `${peer} was not told (${why}): it still lets this host's keys in; on ${peer}: ./bin/shelter pair ${host} --undo`,
  );
  return left.length === 0 ? report : { ...report, left: [...(report.left ?? []), ...left] };
}

/** Over the operator's key; where that is not taken or not known there, by the operator's own login. */
async function tellPeer(context: CallContext, peer: HostName): Promise<void> {
  const { probe, act, say, signal } = context;
  const trust = readTrust(probe, peer);
  if (!trust) return;
  const ran = await sayToPeer(act, probe.home, trust, "operator", [PART], { timeout: 120_000 });
  signal.throwIfAborted();
  if (ran.code === 0) return;
  const failed = peerFailure(trust, `telling ${peer}`, ran).failure();
  if (UNREACHED.has(failed.id)) throw stillPaired(trust, failed);
  try {
    await byOwnLogin(context, trust, [PART, probe.host]);
  } catch {
    signal.throwIfAborted();
    if (failed.id !== "key-refused") throw stillPaired(trust, failed);
    say.line(`${peer} takes this host's keys no more: the pairing was taken back there before`);
  }
}

/** Here another login fares no better. */
export const UNREACHED: ReadonlySet<string> = new Set([
  ...["peer-unreachable", "host-key-changed", "needs-ssh"],
]);

function stillPaired({ name }: Trust, { id, why }: Failure): ShelterError {
  return new ShelterError(
    id,
    `ending the pairing with ${name}`,
    `${why}. This host is still paired with it: nothing was taken back. Try again once ${name} answers; to take back this side alone, while ${name} goes on letting this host's keys in`,
    ["./bin/shelter", "pair", name, "--undo", "--forget"],
  );
}
