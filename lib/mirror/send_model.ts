/** Sending one model: its bytes as one stream, from where an earlier try was cut off. */
import { ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { destination } from "../peer/channel.ts";
import type { Trust } from "../trust/offer.ts";
import type { CallContext } from "../unit.ts";
import { ask, type Connection, mirrorFailure } from "./talk.ts";
import { documentOf, type SentModel } from "./wire.ts";

/** Sends a model. It is hashed over there as it is written; whether it is right the commit says. Gone by now, it is not sent. */
export async function sendModel(
  context: CallContext,
  trust: Trust,
  connection: Connection,
  { sha256, bytes }: SentModel,
): Promise<void> {
  const { probe, act, say, signal } = context;
  const path = inHome.store(probe.home, sha256);
  if (probe.stat(path)?.kind !== "file") return;
  const there = sizeIn(await ask(act, connection.argv, trust, ["arrived", sha256], { signal }));
  const from = there <= bytes ? there : 0;
  const words = ["model", sha256, String(bytes), String(from)];
  const ran = await act.run([...connection.argv, "--", destination(trust), ...words], {
    timeout: 0,
    signal,
    keep: 64 * 1024,
    inputFile: { path: act.real(path), from },
    onLine: (line, stream) => {
      const at = stream === "stdout" ? /"bytes":(\d{1,15})\b/.exec(line)?.[1] : undefined;
      if (at !== undefined) say.progress(`model to ${trust.name}`, Number(at), bytes, "B");
    },
  });
  if (ran.code !== 0) throw mirrorFailure(trust, `sending to ${trust.name}`, ran);

  function sizeIn(text: string): number {
    const said = documentOf(text, trust.name)["bytes"];
    if (typeof said === "number" && Number.isSafeInteger(said) && said >= 0) return said;
    throw new ShelterError("peer-answer", `sending to ${trust.name}`, "its answer holds no size");
  }
}
