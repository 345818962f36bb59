/** Root's side of `verbs.ts`: what each verb does. Run by shelter-act@.service from root-owned files alone; nothing of a home is read. */
import { ShelterError } from "../errors.ts";
import { json, members } from "../facts/text.ts";
import { BUILD_ID } from "../llm/builds.ts";
import { governorChanges, GOVERNOR_FILE, GOVERNOR_NAME, readPolicies } from "../llm/governor.ts";
import type { CallContext } from "../unit.ts";
import { isRoots, isWhole, readLive, serveFrom } from "./live.ts";
import {
  ENGINE_UNIT,
  GATEWAY_UNIT,
  GIVEN_UP,
  GOVERNOR_BEFORE,
  RESTARTED,
  SYSTEMD,
  TOP,
  WATCH_UNIT,
} from "./places.ts";
import type { Verb } from "./verbs.ts";

type Hands = Pick<CallContext, "probe" | "act">;

/** Carries out one verb. @throws ShelterError with the reason where it can't. */
export async function actAsRoot(hands: Hands, verb: Verb): Promise<void> {
  switch (verb) {
    case "restart-engine":
      pace(hands, ENGINE_UNIT);
      return restart(hands, ENGINE_UNIT);
    case "restart-gateway":
      pace(hands, GATEWAY_UNIT);
      return restart(hands, GATEWAY_UNIT);
    case "stop-engine":
      return systemctl(hands, ["stop", "--no-block", ENGINE_UNIT]);
    case "previous-engine":
      pace(hands, ENGINE_UNIT);
      giveUpBuild(hands);
      return restart(hands, ENGINE_UNIT);
    case "previous-release":
      return goBack(hands);
    case "governor-performance":
      return setGovernor(hands);
    case "governor-back":
      return putGovernorBack(hands);
  }
}

/** Between two restarts of one unit, in seconds: far below the watcher's own first wait, and root relies on nobody's. */
const LEAST_APART = 5;

/** Notes a restart before it is begun. @throws ShelterError "too-soon" after the one before. */
function pace({ probe, act }: Hands, unit: string): void {
  const restarted = members(json(probe.text(RESTARTED) ?? ""));
  // proc(5): seconds since boot first; nobody sets that clock
  const now = Number.parseFloat(probe.text("/proc/uptime") ?? "0");
  const last = restarted[unit];
  if (typeof last === "number" && now - last < LEAST_APART) {
    throw new ShelterError(
      "too-soon",
      `restarting ${unit}`,
      `it was restarted less than ${LEAST_APART} s ago`,
    );
  }
  act.write(RESTARTED, `${JSON.stringify({ ...restarted, [unit]: now })}\n`, 0o644);
}

/** Who asks has a back-off of its own, so systemd's count of starts begins anew. Not waited for: a large model takes minutes. */
async function restart(hands: Hands, unit: string): Promise<void> {
  await systemctl(hands, ["reset-failed", unit]);
  await systemctl(hands, ["restart", "--no-block", unit]);
}

async function systemctl({ act }: Hands, argv: readonly string[]): Promise<void> {
  const ran = await act.run(["systemctl", ...argv], { timeout: 20_000 });
  if (ran.code === 0) return;
  throw new ShelterError(
    "systemctl-failed",
    `systemctl ${argv.join(" ")}`,
    ran.stderr.trim().split("\n").at(-1) || `it ended with ${ran.code}`,
  );
}

/** The builds that the engine's unit names: the live one and, where one is kept, the one before. Pure. */
export function buildsOfUnit(text: string): {
  readonly build?: string;
  readonly before?: string;
} {
  const word = (flag: string) => {
    const id = new RegExp(`^ExecStart=.* --${flag} (\\S+)`, "m").exec(text)?.[1];
    return id !== undefined && BUILD_ID.test(id) ? id : undefined;
  };
  const [build, before] = [word("build"), word("before")];
  return { ...(build ? { build } : {}), ...(before ? { before } : {}) };
}

function giveUpBuild({ probe, act }: Hands): void {
  const { build, before } = buildsOfUnit(probe.text(`${SYSTEMD}/${ENGINE_UNIT}`) ?? "");
  if (build === undefined || before === undefined) {
    throw new ShelterError("no-build-before", "going back", "there is no earlier build");
  }
  act.write(GIVEN_UP, `${build}\n`, 0o644);
}

/** The engine is left alone: it serves, and starts from the release before when it starts next. */
async function goBack(hands: Hands): Promise<void> {
  const { probe, act } = hands;
  const { installed, serving, before } = readLive(probe);
  const refuse = (id: string, why: string) =>
    new ShelterError(id, "going back to the release before", why);
  if (installed === undefined || before === undefined || before === installed) {
    throw refuse("no-release-before", "there is no earlier release");
  }
  if (serving === before) throw refuse("already-back", `${before} serves already`);
  if (!isRoots(probe, TOP, "dir") || !(await isWhole(probe, before))) {
    throw refuse("release-differs", `${before} is not what was installed`);
  }
  pace(hands, GATEWAY_UNIT);
  serveFrom(act, installed, before);
  await restart(hands, GATEWAY_UNIT);
  // who asks may be this very watcher: it ends its entry in the journal first
  await restart(hands, WATCH_UNIT);
}

/** What was there stays on record until it is back, also when this is asked twice. */
function setGovernor({ probe, act }: Hands): void {
  const changes = governorChanges(readPolicies(probe));
  if (changes.length === 0) return;
  const before = { ...governorBefore({ probe, act }) };
  for (const { path, was } of changes) before[path] ??= was;
  act.write(GOVERNOR_BEFORE, `${JSON.stringify(before)}\n`, 0o644);
  for (const { path, value } of changes) act.set(path, value);
}

function putGovernorBack(hands: Hands): void {
  const { probe, act } = hands;
  for (const [path, value] of Object.entries(governorBefore(hands))) {
    // who changed it since then wanted it so
    if (probe.text(path)?.trim() === "performance") act.set(path, value);
  }
  act.remove(GOVERNOR_BEFORE);
}

function governorBefore({ probe }: Hands): Record<string, string> {
  const kept = Object.entries(members(json(probe.text(GOVERNOR_BEFORE) ?? "")));
  return Object.fromEntries(
    kept.filter(
      (one): one is [string, string] =>
        GOVERNOR_FILE.test(one[0]) && typeof one[1] === "string" && GOVERNOR_NAME.test(one[1]),
    ),
  );
}
