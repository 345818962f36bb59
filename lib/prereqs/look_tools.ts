/** Which tools are there, in which version. Reads only. */
import { INSTALLED_FORMAT, parseInstalled } from "../facts/packages.ts";
import { compareVersions, upstreamOf, versionIn } from "../facts/versions.ts";
import type { Probe } from "../machine/probe.ts";
import type { FoundTool } from "./facts.ts";
import type { Tool } from "./features.ts";

/** A program that can't say its version within this is broken. Milliseconds. */
const PATIENCE = 20_000;

/** Where a tool is and what it says of its version. */
interface Seen {
  readonly where: string;
  /** Undefined where it was not asked or has no version. */
  readonly said?: string;
  readonly broken: boolean;
}

/**
 * Looks for each tool once. Those in `closely` are started to ask for their version; of the others dpkg's word is enough, because starting them all would
 * take longer than all the rest.
 */
export async function lookAtTools(
  probe: Probe,
  tools: readonly Tool[],
  closely: ReadonlySet<string>,
): Promise<Readonly<Record<string, FoundTool>>> {
  const once = [...new Map(tools.map((tool) => [tool.id, tool])).values()];
  const names = [...new Set(once.flatMap((tool) => tool.packages))];
  const dpkg = await installedVersions(probe, names);
  const seen = await Promise.all(
    once.map(
      async (tool) => [tool, await lookFor(probe, tool, dpkg, closely.has(tool.id))] as const,
    ),
  );
  return Object.fromEntries(seen.map(([tool, found]) => [tool.id, judge(tool, found, dpkg)]));
}

/** Versions of those of `names` that dpkg has as installed; none where there is no dpkg. */
async function installedVersions(
  probe: Probe,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0 || !probe.which("dpkg-query")) return new Map();
  // it ends with 1 when one of the names is unknown, and tells of the others all the same
  const ran = await probe.run(["dpkg-query", "-W", "-f", INSTALLED_FORMAT, "--", ...names]);
  return parseInstalled(ran.stdout);
}

function judge(tool: Tool, seen: Seen | undefined, dpkg: ReadonlyMap<string, string>): FoundTool {
  const installed = tool.packages.filter((name) => dpkg.has(name));
  if (seen === undefined) return { state: "missing", installed };
  const packaged = dpkg.get(tool.packages.at(-1) ?? "");
  const version = seen.said ?? (packaged === undefined ? undefined : upstreamOf(packaged));
  const told = { where: seen.where, installed, ...(version === undefined ? {} : { version }) };
  if (seen.broken) return { state: "broken", ...told };
  if (tool.least && version !== undefined && compareVersions(version, tool.least.version) < 0) {
    return { state: "too-old", ...told };
  }
  return { state: "there", ...told };
}

async function lookFor(
  probe: Probe,
  { sign, version, packages }: Tool,
  dpkg: ReadonlyMap<string, string>,
  closely: boolean,
): Promise<Seen | undefined> {
  if ("pip" in sign) return await lookForPip(probe, dpkg);
  if ("module" in sign) {
    const python = probe.which("python3");
    if (python === undefined) return undefined;
    if (!closely)
      return packages.every((name) => dpkg.has(name))
        ? { where: python, broken: false }
        : undefined;
    const ran = await probe.run([python, "-c", `import ${sign.module}`], { timeout: PATIENCE });
    return ran.code === 0 ? { where: python, broken: false } : undefined;
  }
  if ("file" in sign) {
    const where = sign.file.find((path) => {
      const real = probe.real(path);
      const kind = real === undefined ? undefined : probe.stat(real)?.kind;
      return kind === "file" || (kind === "dir" && probe.list(path).length > 0);
    });
    return where === undefined ? undefined : { where, broken: false };
  }
  for (const command of sign.command) {
    const where = probe.which(command);
    if (where === undefined) continue;
    if (version === undefined || !closely) return { where, broken: false };
    const ran = await probe.run([where, ...version], { timeout: PATIENCE });
    // some tell it on stderr (ssh), some end with 1 all the same (mksquashfs); what the loader says of a missing library is no version
    const said = versionIn(ran.stdout) ?? (ran.code === 0 ? versionIn(ran.stderr) : undefined);
    const broken = ran.timedOut || (ran.code !== 0 && said === undefined);
    return { where, broken, ...(said === undefined ? {} : { said }) };
  }
  return undefined;
}

/** Where Debian's python3-pip has its code. */
const DEBIAN_PIP = "/usr/lib/python3/dist-packages/pip/__main__.py";

/**
 * By the names that it has, in the order in which the fetching of models tries them. Debian's own is believed by its files: starting pip takes half a
 * second.
 */
async function lookForPip(
  probe: Probe,
  dpkg: ReadonlyMap<string, string>,
): Promise<Seen | undefined> {
  const packaged = dpkg.get("python3-pip");
  if (packaged !== undefined && probe.stat(DEBIAN_PIP)) {
    return { where: DEBIAN_PIP, said: upstreamOf(packaged), broken: false };
  }
  let broken: Seen | undefined;
  for (const [command = "", ...rest] of [["python3", "-m", "pip"], ["pip3"], ["pip"]]) {
    const where = probe.which(command);
    if (where === undefined) continue;
    const ran = await probe.run([where, ...rest, "--version"], { timeout: PATIENCE });
    const said = versionIn(ran.stdout);
    if (ran.code === 0)
      return {
        where: [where, ...rest].join(" "),
        broken: false,
        ...(said === undefined ? {} : { said }),
      };
    if (rest.length === 0) broken ??= { where, broken: true };
  }
  return broken;
}
