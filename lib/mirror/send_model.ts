/** Sending one model: its bytes as one stream, from where an earlier try was cut off. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { destination } from "../peer/channel.ts";
import { duration } from "../report/text.ts";
import type { Ran } from "../machine/process.ts";
import type { Trust } from "../trust/offer.ts";
import type { CallContext } from "../unit.ts";
import { ANSWER, ask, type Connection, mirrorFailure, SLOWEST } from "./talk.ts";
import { documentOf, type SentModel } from "./wire.ts";

/** What a peer says that has fewer bytes than it is to go on from. */
const LESS_CAME = /it holds fewer than \d+ bytes/;

/** How a model is sent. */
interface How {
  /** Bytes that the peer said it has of it: so it is not asked before the first byte goes. */
  readonly came?: number;
  /** Milliseconds after which a peer that takes no further byte is given up: its disk or its program hangs, and nothing else would tell. */
  readonly patience?: number;
}

/** Sends a model. It is hashed over there as it is written; whether it is right the commit says. Gone or of another size by now, it is not sent. */
export async function sendModel(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  { sha256, bytes }: SentModel,
  { came, patience = ANSWER }: How = {},
): Promise<void> {
  const { probe, act, say, signal } = context;
  const what = `sending to ${trust.name}`;
  const path = inHome.store(probe.home, sha256);
  const isThere = () => {
    const entry = probe.stat(path);
    return entry?.kind === "file" && entry.size === bytes;
  };
  if (!isThere()) return;
  let ran = await stream(came ?? (await arrived()));
  // what it had went meanwhile
  if (ran && ran.code !== 0 && came !== undefined && LESS_CAME.test(ran.stderr))
    ran = await stream(await arrived());
  if (ran && ran.code !== 0) throw mirrorFailure(trust, what, ran);

  async function arrived(): Promise<number> {
    const text = await ask(act, connection.argv, trust, ["arrived", sha256], { signal });
    const said = documentOf(text, trust.name)["bytes"];
    if (typeof said === "number" && Number.isSafeInteger(said) && said >= 0) return said;
    throw new ShelterError("peer-answer", what, "its answer holds no size");
  }

  async function stream(there: number): Promise<Ran | undefined> {
    if (!isThere()) return undefined;
    const from = there <= bytes ? there : 0;
    const words = ["model", sha256, String(bytes), String(from)];
    const silence = new AbortController();
    let clock: ReturnType<typeof setTimeout> | undefined;
    const wait = (milliseconds = patience) => {
      clearTimeout(clock);
      clock = setTimeout(() => silence.abort(), milliseconds);
    };
    let most = -1;
    const streamed = await act
      .run([...connection.argv, "--", destination(trust), ...words], {
        timeout: 0,
        signal: AbortSignal.any([signal, silence.signal]),
        keep: 64 * 1024,
        inputFile: { path: act.real(path), from },
        // not before: finding the place in a large file takes its own time, and a peer of an earlier release reads what it has without a word
        onStart: () => wait(patience + from / (SLOWEST / 1000)),
        onLine: (line, channel) => {
          const said = channel === "stdout" ? /"bytes":(\d{1,15})\b/.exec(line)?.[1] : undefined;
          const at = Math.min(Number(said ?? -1), bytes);
          if (at <= most) return;
          most = at;
          wait();
          say.progress(`model to ${trust.name}`, at, bytes, "B");
        },
      })
      .finally(() => clearTimeout(clock));
    if (silence.signal.aborted && !signal.aborted) {
      const why = `${trust.name} takes nothing: for ${duration(patience)} no byte of the model went on`;
      throw new ShelterError("peer-stalls", what, why, ["./bin/shelter", "status"]);
    }
    return streamed;
  }
}
