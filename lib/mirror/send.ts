/** rsync, started so that the other side's forced command lets it through, and nothing else. */
import { IntegrityError, ShelterError } from "../errors.ts";
import type { Ran } from "../machine/process.ts";
import type { Trust } from "../trust/offer.ts";
import type { CallContext } from "../unit.ts";
import { PARTIAL_FOLDER, SILENCE } from "./rsync_words.ts";
import { type Connection, mirrorFailure, remoteShell } from "./talk.ts";

/** What is to be sent. */
export interface Sending {
  readonly from: string;
  /** Relative to `from`. */
  readonly paths: readonly string[];
  /** Relative to the peer's folder for this host. */
  readonly to: string;
  /** The generation whose files are taken where they are the same. */
  readonly last: string | null;
  /** Send also what looks the same. */
  readonly anew: boolean;
  readonly label: string;
}

/** rsync(1): files that vanished while we sent; each is looked for again when the list is made. */
const VANISHED = 24;
/** As the other side makes it anyway: with other modes there, all would be copied anew for each generation. */
const ONLY_OWNER = "--chmod=go=";
/** Milliseconds between two looks at how much has come. */
const LOOK = 1000;

/** Sends files. Where it is cut off, what came over waits on the other side. */
export async function sendFiles(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  sending: Sending,
): Promise<void> {
  if (sending.paths.length === 0) return;
  const ran = await runRsync(
    context,
    [
      ...["-tp", ONLY_OWNER, SILENCE, "--from0", "--files-from=-", "--info=progress2"],
      ...(sending.anew ? ["--ignore-times"] : []),
      `--partial-dir=${PARTIAL_FOLDER}`,
      ...(sending.last === null ? [] : [`--link-dest=../${sending.last}`]),
      ...shellOf(connection),
      `${context.act.real(sending.from)}/`,
      `${placeOn(trust)}:${sending.to}`,
    ],
    sending.label,
    `${sending.paths.join("\0")}\0`,
  );
  if (ran.code === 0 || ran.code === VANISHED) return;
  throw rsyncFailure(trust, `sending to ${trust.name}`, ran);
}

/** Fetches one file of `bytes` that the peer laid out; goes on where an earlier try was cut off. More than that is not taken. */
export async function fetchFile(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  from: string,
  to: string,
  bytes: number,
): Promise<void> {
  const { probe, act, signal } = context;
  const over = new AbortController();
  const look = setInterval(() => {
    try {
      if ((probe.stat(to)?.size ?? 0) > bytes) over.abort();
    } catch {
      // thrown here it would end us; rsync meets the same disk, and says so
    }
  }, LOOK);
  const ran = await runRsync(
    { ...context, signal: AbortSignal.any([signal, over.signal]) },
    [
      ...["-t", "--inplace", SILENCE, "--info=progress2"],
      ...shellOf(connection),
      `${placeOn(trust)}:${from}`,
      act.real(to),
    ],
    `model from ${trust.name}`,
  ).finally(() => clearInterval(look));
  if (over.signal.aborted) {
    act.remove(to);
    throw new IntegrityError(
      "too-long",
      `fetching from ${trust.name}`,
      `it sent more than the ${bytes} bytes that were asked for`,
    );
  }
  if (ran.code !== 0) throw rsyncFailure(trust, `fetching from ${trust.name}`, ran);
}

function shellOf({ argv }: Connection): readonly string[] {
  // without secluded arguments, so that the other side's check sees every one of them
  return ["--no-secluded-args", "-e", remoteShell(argv)];
}

async function runRsync(
  { act, say, signal }: CallContext,
  options: readonly string[],
  label: string,
  input?: string,
): Promise<Ran> {
  return act.run(["rsync", ...options], {
    timeout: 0,
    signal,
    keep: 64 * 1024,
    ...(input === undefined ? {} : { input }),
    onLine: (line) => {
      const found = /^\s*([\d,]+)\s+(\d+)%/.exec(line);
      if (!found) return;
      const done = Number((found[1] ?? "0").replaceAll(",", ""));
      const percent = Number(found[2]);
      say.progress(label, done, percent > 0 ? Math.round((done / percent) * 100) : 0, "B");
    },
  });
}

function rsyncFailure(trust: Trust, what: string, ran: Ran): ShelterError {
  if (ran.code === 127) {
    return new ShelterError("rsync-missing", what, "there is no rsync", [
      "./bin/01_validate_prereqs",
    ]);
  }
  // rsync(1): 10, 12, 30 and 255 are a connection that broke
  const broken = [10, 12, 30, 35, 255].includes(ran.code);
  return mirrorFailure(trust, what, broken ? { ...ran, code: 255 } : ran);
}

/** "user@address" as rsync reads it: an IPv6 address stands in brackets. */
function placeOn({ user, address }: Trust): string {
  return address.includes(":") ? `${user}@[${address}]` : `${user}@${address}`;
}
