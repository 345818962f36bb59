/** Debian packages: installed through apt under one lock; taken back by removing exactly what dpkg newly gained by that. */
import { join } from "node:path";
import { IntegrityError, ShelterError } from "../errors.ts";
import { inHome } from "../keep/home.ts";
import { takeLock } from "../keep/lock.ts";
import type { Act } from "../machine/act.ts";
import type { Probe } from "../machine/probe.ts";
import type { CallContext } from "../unit.ts";
import { aptProgress } from "./apt_progress.ts";

/** Debian policy 5.6.1, with an optional architecture. Anything else never reaches apt's command line. */
const NAME = /^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?$/;

/** apt waits this many seconds for another package manager, e.g. unattended upgrades. */
const APT = ["apt-get", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"];
const QUIET = { DEBIAN_FRONTEND: "noninteractive", APT_LISTCHANGES_FRONTEND: "none" };

/** Installs packages. What was installed before and after is kept in the file `memo`, for taking it back. */
export async function installPackages(
  { probe, act, say, signal }: CallContext,
  install: readonly string[],
  memo: string,
): Promise<void> {
  const bad = install.find((name) => !NAME.test(name));
  if (bad !== undefined) {
    throw new ShelterError("package-name", `installing ${bad}`, "that is no Debian package name");
  }
  await withApt(probe, act, async () => {
    const before = await installedPackages(probe);
    act.write(memo, JSON.stringify({ before }));
    const get = (argv: readonly string[], show: (line: string) => void, stop?: AbortSignal) =>
      act.run([...APT, ...argv], {
        env: QUIET,
        ...(stop ? { signal: stop } : {}),
        onLine: (line) => {
          say.detail({ apt: line });
          show(line);
        },
      });
    say.line(`Installing ${install.join(" ")}`);
    const wanted = ["install", "--no-install-recommends"];
    const fetchAll = [...wanted, "--download-only", "--", ...install];
    let show = aptProgress(say);
    let ran = await get(fetchAll, show, signal);
    signal.throwIfAborted();
    if (ran.code !== 0) {
      say.line("The package lists may be old: updating them, then once more");
      await get(["update"], () => undefined, signal);
      signal.throwIfAborted();
      show = aptProgress(say);
      ran = await get(fetchAll, show, signal);
      signal.throwIfAborted();
    }
    // from here dpkg is let finish, whatever comes: a package that it is stopped amid can't even be removed
    if (ran.code === 0) {
      const wait = () => say.line("apt finishes what it has begun, then it is taken back");
      signal.addEventListener("abort", wait, { once: true });
      ran = await get([...wanted, "--", ...install], show).finally(() =>
        signal.removeEventListener("abort", wait),
      );
    }
    // an undo may come weeks later: what others install until then is theirs
    act.write(memo, JSON.stringify({ before, after: await installedPackages(probe) }));
    signal.throwIfAborted();
    if (ran.code !== 0) {
      throw new ShelterError(
        "apt-failed",
        `installing ${install.join(" ")}`,
        lastWords(ran.stderr || ran.stdout),
        ["apt-get", "install", ...install],
      );
    }
  });
}

/** Removes what dpkg gained while the packages of `memo` were installed; where that was cut off, what it gained since. */
export async function removeGained(probe: Probe, act: Act, memo: string): Promise<void> {
  const text = probe.text(memo);
  if (text === undefined) return; // it never came to installing
  const { before, after } = parseMemo(text, memo);
  await withApt(probe, act, async () => {
    // an install that was killed midway leaves dpkg half done, and nothing can be removed before that is finished
    await act.run(["dpkg", "--configure", "-a"], { env: QUIET });
    const half = (await halfInstalled(probe, before)).filter((name) => after?.has(name) !== false);
    if (half.length > 0) {
      const force = ["--force-remove-reinstreq", "--force-depends"];
      await act.run(["dpkg", ...force, "--purge", ...half], { env: QUIET });
    }
    const gained = (await installedPackages(probe)).filter(
      (name) => !before.has(name) && after?.has(name) !== false,
    );
    if (gained.length === 0) return;
    const others = await goesWith(act, gained);
    if (others.length > 0) {
      throw new ShelterError(
        "packages-needed",
        `removing ${gained.join(" ")}`,
        `what else is installed needs some of that and would go with it: ${others.join(" ")}`,
        ["apt-get", "purge", ...gained],
      );
    }
    const ran = await act.run([...APT, "purge", "--", ...gained], { env: QUIET });
    if (ran.code !== 0) {
      throw new ShelterError(
        "apt-failed",
        `removing ${gained.join(" ")}`,
        lastWords(ran.stderr || ran.stdout),
        ["apt-get", "purge", ...gained],
      );
    }
  });
}

interface Memo {
  readonly before: ReadonlySet<string>;
  /** Missing where the installing was cut off, and in memos of releases that noted no more than what was there before. */
  readonly after: ReadonlySet<string> | undefined;
}

/** @throws IntegrityError for a memo that can't be believed: read as an empty one it would have every package of the host removed. */
function parseMemo(text: string, path: string): Memo {
  const names = (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string")
      ? new Set(value)
      : undefined;
  let noted: unknown;
  try {
    noted = JSON.parse(text);
  } catch {
    noted = undefined;
  }
  const document: unknown = Array.isArray(noted) ? { before: noted } : noted;
  const { before, after } = (document ?? {}) as Readonly<Record<string, unknown>>;
  const known = names(before);
  if (!known || (after !== undefined && !names(after))) {
    throw new IntegrityError(
      "memo-damaged",
      `taking packages back by ${path}`,
      "it does not say which packages were there before; none is removed",
    );
  }
  return { before: known, after: names(after) };
}

/** What apt would remove beside `gained`, because it needs some of that: apt-get(8), --simulate, a line for each. */
async function goesWith(act: Act, gained: readonly string[]): Promise<readonly string[]> {
  const bare = (name: string) => name.replace(/:.*$/, "");
  const ours = new Set(gained.map(bare));
  const { stdout } = await act.run([...APT, "--simulate", "purge", "--", ...gained], {
    env: QUIET,
  });
  const names = [...stdout.matchAll(/^(?:Purg|Remv) (\S+)/gm)].map(([, name = ""]) => name);
  return [...new Set(names)].filter((name) => !ours.has(bare(name)));
}

/** Where the memo of a package step stands. */
export function packageMemo(home: string, run: string, round: string, step: number): string {
  return join(inHome.snapshots(home, run), `packages-${round}-${step}.json`);
}

async function installedPackages(probe: Probe): Promise<readonly string[]> {
  return (await packageStates(probe)).map(([name]) => name);
}

/** New ones that dpkg was killed amid: it neither configures nor removes them, unless it is forced to (dpkg(1), reinst-required). */
async function halfInstalled(
  probe: Probe,
  before: ReadonlySet<string>,
): Promise<readonly string[]> {
  return (await packageStates(probe)).flatMap(([name, flag]) =>
    flag === "reinstreq" && !before.has(name) ? [name] : [],
  );
}

/** All that dpkg has of a package, by name with architecture, and its error flag: "ok" or "reinstreq". */
async function packageStates(probe: Probe): Promise<readonly (readonly [string, string])[]> {
  // dpkg-query puts "${…}" in place itself
  const format = "${Package}:${Architecture} ${db:Status-Status} ${db:Status-Eflag}\\n";
  const ran = await probe.run(["dpkg-query", "-W", "-f", format]);
  if (ran.code !== 0) {
    throw new ShelterError("dpkg-failed", "listing the installed packages", lastWords(ran.stderr));
  }
  return ran.stdout.split("\n").flatMap((line) => {
    const [name = "", status = "", flag = "ok"] = line.split(" ");
    const gone = name === "" || status === "not-installed" || status === "config-files";
    return gone ? [] : [[name, flag] as const];
  });
}

async function withApt(probe: Probe, act: Act, work: () => Promise<void>): Promise<void> {
  const lock = await takeLock(probe, act, "apt", { script: "apt", wait: 300_000 });
  if ("busy" in lock) {
    throw new ShelterError(
      "apt-busy",
      "installing packages",
      `${lock.busy.script} (process ${lock.busy.pid}) is at it for ${Math.round(lock.age / 1000)} s`,
    );
  }
  try {
    await work();
  } finally {
    await lock.release();
  }
}

function lastWords(text: string): string {
  return text.trim().split("\n").slice(-3).join(" ") || "it said nothing";
}
