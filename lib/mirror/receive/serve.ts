/** What a paired host's mirror key may ask for: fixed verbs, and rsync confined to the peer's own places below runtime/mirror/<peer>. */
import { join } from "node:path";
import { inHome } from "../../keep/home.ts";
import { refused } from "../../peer/words.ts";
import type { Trust } from "../../trust/offer.ts";
import type { CallContext } from "../../unit.ts";
import { isShared } from "../places.ts";
import { checkRsync, OFFERED } from "../rsync_words.ts";
import { DOCUMENT_LIMIT, isPlainPath, parseCommit, WIRE } from "../wire.ts";
import { takeGenerationBack } from "./back.ts";
import { withArrivalLock } from "./arrival_lock.ts";
import { commit } from "./commit.ts";
import { flushWhile } from "./flush.ts";
import { arrivedBytes, takeModel } from "./model.ts";
import { stateFor } from "./state.ts";
import { removeLinks } from "./verify.ts";

/** One request of a mirror key. */
export interface MirrorRequest {
  readonly context: CallContext;
  readonly trust: Trust;
  /** What was asked for, words of `requestWords`. */
  readonly words: readonly string[];
  readonly input: (limit: number) => Promise<string>;
  /** Its standard input as it comes. */
  readonly bytes: () => AsyncIterable<Uint8Array>;
  readonly print: (text: string) => void;
}

/** Largest shared file whose content is told; bytes. Larger ones are settled by what was mirrored. */
export const READ_LIMIT = 8 * 1024 * 1024;

/** Characters of an armoured signature (PROTOCOL.sshsig): a few hundred. */
const SIGNATURE_LIMIT = 16 * 1024;

/** Answers one request; gives the exit code. Throws a ShelterError for what is refused. */
export async function answerMirror(request: MirrorRequest): Promise<number> {
  const { context, trust, words, print } = request;
  const [verb = "", word = ""] = words;
  const from = trust.name;
  switch (verb) {
    case "state": {
      const digest = /^[0-9a-f]{64}$/.test(word) ? word : undefined;
      print(JSON.stringify(await stateFor(context.probe, from, digest)));
      return 0;
    }
    case "commit": {
      const asked = parseCommit(await request.input(DOCUMENT_LIMIT), from);
      const reply = await withArrivalLock(context, from, "tree", () =>
        withArrivalLock(context, from, "models", () => commit(context, trust, asked)),
      );
      print(JSON.stringify({ schema: WIRE, ...reply }));
      return 0;
    }
    case "back": {
      const left = await withArrivalLock(context, from, "tree", () =>
        takeGenerationBack(context, trust, word, () => request.input(SIGNATURE_LIMIT)),
      );
      print(JSON.stringify({ schema: WIRE, left }));
      return 0;
    }
    case "read":
      print(JSON.stringify({ schema: WIRE, ...readShared(context, word) }));
      return 0;
    case "arrived":
      print(JSON.stringify({ schema: WIRE, bytes: arrivedBytes(context, from, word) }));
      return 0;
    case "model":
      return takeModel(request, words);
    case "offer":
      await offer(context, from, word);
      return 0;
    case "rsync":
      return rsync(context, from, words);
    default:
      throw refused(`mirror may not ask for ${verb}`);
  }
}

/** A shared file's content, base64; its name comes as base64url, because a name may hold anything. */
function readShared({ probe }: CallContext, word: string) {
  const path = Buffer.from(word, "base64url").toString();
  if (!isPlainPath(path) || !isShared(path)) throw refused("that is no shared path");
  const parts = path.split("/");
  // a link on the way would lead out of what is shared
  for (let length = 1; length < parts.length; length++) {
    const folder = join(probe.home, ...parts.slice(0, length));
    if (probe.stat(folder)?.kind !== "dir") return { content: null };
  }
  const entry = probe.stat(join(probe.home, path));
  if (entry?.kind !== "file" || entry.size > READ_LIMIT) return { content: null };
  const bytes = probe.bytes(join(probe.home, path), 0, entry.size);
  return { content: Buffer.from(bytes).toString("base64") };
}

/** Lays a proven model out where the peer's rsync may fetch it: a second name of the same bytes. What was offered before goes. */
async function offer({ probe, act }: CallContext, from: string, word: string): Promise<void> {
  if (!/^[0-9a-f]{64}$/.test(word)) throw refused("a model is asked for by its hash");
  const path = inHome.store(probe.home, word);
  const folder = inHome.mirror(probe.home, from, OFFERED);
  act.remove(folder);
  if (probe.stat(path)?.kind !== "file") throw refused("that model is not here");
  if ((await probe.sha256(path)) !== word) throw refused("that model is damaged here too");
  act.makeFolder(folder);
  act.hardLinkOrCopy(path, join(folder, word));
}

/** rsync talks to the peer through our own standard input and output; it stands in the peer's folder, and ends with us. */
async function rsync(
  { probe, act }: CallContext,
  from: string,
  words: readonly string[],
): Promise<number> {
  const checked = checkRsync(words);
  if (checked === undefined) throw refused("rsync may not be started like this");
  const cwd = inHome.mirror(probe.home, from);
  const work = async () => {
    if (checked.kind === "generation") {
      act.makeFolder(join(cwd, checked.place));
      // a commit that was killed may have left some: rsync must meet none
      removeLinks({ probe, act }, join(cwd, checked.place));
    }
    const setpriv = probe.which("setpriv");
    const tied = setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL", "--"];
    const running = act.run([...tied, ...checked.words], { cwd, terminal: true });
    const ran = await (checked.kind === "offered" ? running : flushWhile(act, cwd, running));
    if (checked.kind === "offered") act.remove(join(cwd, OFFERED));
    return ran.code;
  };
  return withArrivalLock(
    { probe, act },
    from,
    checked.kind === "generation" ? "tree" : "models",
    work,
  );
}
