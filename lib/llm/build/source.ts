/** llama.cpp's source in the home: fetched from the nearest place that has it, and nothing is built that is not the pinned tree. */
import { dirname, join } from "node:path";
import { asFailure, IntegrityError, ShelterError } from "../../errors.ts";
import { inHome } from "../../keep/home.ts";
import { fetchVerified } from "../../machine/sources.ts";
import type { Call, CallContext, Source } from "../../unit.ts";
import { failed, runAsOwner } from "./hands.ts";
import { ENGINE_SOURCE } from "./pins.ts";
import { textOf } from "./words.ts";

/** The home's own copy of the bundle. */
export function sourceCopy(home: string): string {
  return inHome.engines(home, `llama.cpp-${ENGINE_SOURCE.tag}.bundle`);
}

/** A copy that came from upstream: another file, but the same tree, which every use checks. */
export function upstreamCopy(home: string): string {
  return inHome.engines(home, `llama.cpp-${ENGINE_SOURCE.tag}-upstream.bundle`);
}

/** Where the source is unpacked for building; all builds of one tree share it. */
export function sourceFolder(home: string): string {
  return inHome.work(home, "llama.cpp", `source-${ENGINE_SOURCE.tree.slice(0, 12)}`);
}

/**
 * git without anything that a repository, a home or a system could make it do: no hooks, no settings but these, no prompts, no helpers, and
 * no transports but the ones named.
 */
function git(
  context: CallContext,
  argv: readonly string[],
  transports: readonly string[] = ["file"],
) {
  const settings = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.autocrlf=false",
    "safe.directory=*",
    "gc.auto=0",
    "transfer.fsckObjects=true",
    "protocol.allow=never",
    ...transports.map((one) => `protocol.${one}.allow=always`),
  ];
  return runAsOwner(context, ["git", ...settings.flatMap((one) => ["-c", one]), ...argv], {
    env: {
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_ATTR_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ASKPASS: "/bin/false",
    },
  });
}

async function must(context: CallContext, what: string, argv: readonly string[], ways?: string[]) {
  const ran = await git(context, argv, ways);
  if (ran.code !== 0) throw failed(what, ran);
  return ran.stdout.trim();
}

/** Call "fetch source": the bundle from the nearest source, else the tag from upstream. Leaves one verified copy in the home. */
export const fetchSource: Call = async (context, args) => {
  const { probe, act, say } = context;
  const from = args["from"] as readonly Source[];
  const [sha256, bytes] = [textOf(args, "sha256"), Number(args["bytes"])];
  const to = sourceCopy(probe.home);
  try {
    await fetchVerified(context, from, to, sha256, bytes);
    return;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof ShelterError) || error.id === "disk-full") throw error;
    say.line(`No package has llama.cpp's source (${error.why}): asking upstream`);
    say.detail({ failure: { ...asFailure(error), fix: null } });
    try {
      await fromUpstream(context);
    } catch (second) {
      context.signal.throwIfAborted();
      if (!(second instanceof ShelterError) || second instanceof IntegrityError) throw second;
      const { package: name, version } = ENGINE_SOURCE.bundle;
      throw new ShelterError(
        "no-source",
        `fetching llama.cpp ${ENGINE_SOURCE.tag}`,
        `${error.why}; and ${second.what}: ${second.why}`,
        ["npm", "install", `${name}@${version}`],
      );
    }
    act.remove(to);
  }
};

async function fromUpstream(context: CallContext): Promise<void> {
  const { probe, act, say } = context;
  const { tag, upstream } = ENGINE_SOURCE;
  say.line(`Fetching ${tag} from ${upstream}`);
  await withRepository(context, async (repository) => {
    const what = `fetching ${tag} from ${upstream}`;
    const refs = `refs/tags/${tag}:refs/heads/source`;
    const fetch = ["fetch", "--quiet", "--depth", "1", "--no-tags", "--no-recurse-submodules"];
    await must(context, what, [...repository, ...fetch, upstream, refs], ["https"]);
    await checkTree(context, repository, "refs/heads/source", upstream);
    const made = inHome.work(probe.home, "llama.cpp", "upstream.bundle");
    act.remove(made);
    const into = ["bundle", "create", "--quiet", act.real(made), "refs/heads/source"];
    await must(context, "keeping llama.cpp's source", [...repository, ...into]);
    act.rename(made, upstreamCopy(probe.home));
  });
}

/** Gives `work` an empty repository of its own, and removes it. */
async function withRepository<T>(
  context: CallContext,
  work: (repository: readonly string[]) => Promise<T>,
): Promise<T> {
  const { probe, act } = context;
  const folder = inHome.work(probe.home, "llama.cpp", "repository.git");
  act.remove(folder);
  act.makeFolder(dirname(folder));
  try {
    await must(context, "making a repository", [
      ...["init", "--quiet", "--bare", "--template=", act.real(folder)],
    ]);
    return await work([`--git-dir=${act.real(folder)}`]);
  } finally {
    act.remove(folder);
  }
}

async function checkTree(
  context: CallContext,
  repository: readonly string[],
  name: string,
  origin: string,
): Promise<void> {
  const tree = await must(context, `reading llama.cpp's source from ${origin}`, [
    ...[...repository, "rev-parse", "--verify", "--end-of-options", `${name}^{tree}`],
  ]);
  if (tree !== ENGINE_SOURCE.tree) {
    throw new IntegrityError(
      "source-differs",
      `llama.cpp ${ENGINE_SOURCE.tag} from ${origin}`,
      `its tree is ${tree}, and ${ENGINE_SOURCE.tree} is pinned`,
    );
  }
}

/**
 * Unpacks the home's copy for building and returns the folder: every file in it is the pinned tree's, and there is no other. One that is there and
 * right is left as it is, so that what was compiled from it stays valid.
 * @throws IntegrityError "source-differs"; ShelterError "build-failed".
 */
export async function unpackSource(context: CallContext): Promise<string> {
  const { probe, act, say } = context;
  const copy = [sourceCopy(probe.home), upstreamCopy(probe.home)].find((one) => probe.stat(one));
  if (copy === undefined) {
    throw new ShelterError("no-source", "unpacking llama.cpp's source", "the home has no copy", [
      "03_build_llama_cpp",
    ]);
  }
  const folder = sourceFolder(probe.home);
  await withRepository(context, async (repository) => {
    const fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", act.real(copy)];
    const ref = copy === sourceCopy(probe.home) ? "HEAD" : "refs/heads/source";
    const into = `+${ref}:refs/heads/source`;
    await must(context, `unpacking ${copy}`, [...repository, ...fetch, into]);
    await checkTree(context, repository, "refs/heads/source", copy);
    const inFolder = [...repository, `--work-tree=${act.real(folder)}`];
    await must(context, "reading the source", [...inFolder, "read-tree", ENGINE_SOURCE.tree]);
    if (probe.stat(folder) && (await isExactly(context, inFolder))) return;
    say.line("Unpacking llama.cpp's source");
    act.remove(folder);
    act.makeFolder(folder);
    await must(context, "unpacking the source", [
      ...[...repository, `--work-tree=${act.real(folder)}`, "checkout-index", "--all", "--quiet"],
    ]);
    if (await isExactly(context, inFolder)) return;
    throw new IntegrityError("source-differs", folder, "what was unpacked is not the pinned tree");
  });
  return folder;
}

/** True where the folder holds the index's files, all of them, and nothing else. Every file is hashed: the index knows no sizes or times. */
async function isExactly(context: CallContext, inFolder: readonly string[]): Promise<boolean> {
  await git(context, [...inFolder, "update-index", "-q", "--refresh"]);
  const changed = await must(context, "comparing the source", [
    ...inFolder,
    "diff-files",
    "--name-only",
  ]);
  const more = await must(context, "comparing the source", [...inFolder, "ls-files", "--others"]);
  return changed === "" && more === "";
}

/** Where the bundle lies in a node_modules beside the home. */
export function installedBundle(home: string): string {
  const { package: name, member } = ENGINE_SOURCE.bundle;
  return join(home, "node_modules", name, member);
}
