/** Getting one file from the first of its sources that gives exactly the bytes that are wanted. */
import { closeSync, fsyncSync, openSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { asFailure, IntegrityError, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import type { CallContext, Source } from "../unit.ts";
import { bringFrom, type HostCommand, isRight, nameOf, type Wanted } from "./one_source.ts";

/**
 * Brings the file with this size and SHA-256 to `to`, from the first source that has it. It gets its name only when both agree.
 * A download goes on where an earlier one stopped; what a package manager fetches starts again. Nothing that was fetched is thrown away by a
 * failure or an interrupt, except what is proven wrong: that goes to runtime/quarantine.
 * @throws IntegrityError "hash-differs" where no source gave the right bytes and one gave wrong ones; ShelterError "fetch-failed" naming each
 * source's reason; "disk-full"; or the reason of the context's signal.
 */
export async function fetchVerified(
  context: CallContext,
  from: readonly Source[],
  to: string,
  sha256: string,
  bytes: number,
  ofHost?: HostCommand,
): Promise<void> {
  const { probe, act } = context;
  if (!/^[0-9a-f]{64}$/.test(sha256)) {
    throw new ShelterError(
      "hash-malformed",
      `fetching ${to}`,
      `"${sha256}" is no SHA-256 in lower-case hex`,
    );
  }
  const folder = fetchFolder(probe.home, sha256);
  const wanted = {
    sha256,
    bytes,
    folder,
    part: partOf(probe.home, sha256),
    label: labelOf(from, to),
    ...(ofHost ? { ofHost } : {}),
  };
  act.makeFolder(folder);
  act.makeFolder(dirname(to));
  // whole already: of a run that was stopped between the last byte and the name
  if (await isRight(context, wanted)) return giveName(context, wanted, to);
  const failures: ShelterError[] = [];
  for (const source of from) {
    try {
      await bringFrom(context, source, wanted);
      return giveName(context, wanted, to);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof ShelterError) || error.id === "disk-full") throw error;
      context.say.detail({ source: nameOf(source), failure: { ...asFailure(error), fix: null } });
      failures.push(error);
    }
  }
  throw summary(wanted, to, from, failures);
}

/** Where a file with this hash grows until it is whole, and waits when its fetch is taken back. */
export function partOf(home: string, sha256: string): string {
  return join(fetchFolder(home, sha256), "part");
}

/** Moves a fetched file back to where the next fetch of it begins: taking a fetch back must not cost the download. */
export function keepForNextFetch(
  { probe, act }: Pick<CallContext, "probe" | "act">,
  path: string,
  sha256: string,
): void {
  act.makeFolder(fetchFolder(probe.home, sha256));
  act.replaceWith(partOf(probe.home, sha256), path);
}

function fetchFolder(home: string, sha256: string): string {
  return inHome.work(home, "fetch", sha256);
}

/** On disk first, then named: a power cut leaves a whole file or none. */
function giveName({ probe, act }: CallContext, wanted: Wanted, to: string): void {
  const handle = openSync(act.real(wanted.part), "r");
  fsyncSync(handle);
  closeSync(handle);
  act.chmod(wanted.part, 0o600);
  if (probe.me.root && probe.owner.uid !== probe.me.uid) act.chown(wanted.part, probe.owner);
  act.replaceWith(to, wanted.part);
  act.remove(wanted.folder);
}

function summary(
  wanted: Wanted,
  to: string,
  from: readonly Source[],
  failures: readonly ShelterError[],
): ShelterError {
  const what = `fetching ${wanted.label} to ${to}`;
  const why =
    failures.map((one, i) => `${nameOf(from[i])}: ${one.why}`).join("; ") || "it has no source";
  const fix = failures.find((one) => one.fix)?.fix;
  const wrong = failures.find((one) => one instanceof IntegrityError);
  return wrong
    ? new IntegrityError("hash-differs", what, why, fix)
    : new ShelterError("fetch-failed", what, why, fix);
}

/** A name for the progress bar: the file's own, since `to` is often only a hash. */
function labelOf(from: readonly Source[], to: string): string {
  const [first] = from;
  if (!first) return basename(to);
  if ("url" in first) return basename(first.url.split(/[?#]/)[0] ?? to);
  return basename(
    "python" in first ? first.python.member : "npm" in first ? first.npm.member : first.path,
  );
}
