/** Changing one shared path on this host because the peer changed it: only while it is still what the peer saw, and with a copy of what it was. */
import { dirname, join } from "node:path";
import { configError, lookAtConfig } from "../../hosts/config.ts";
import { temporaryBeside } from "../../machine/durable.ts";
import { isShared, staysInside } from "../places.ts";
import { type Change, identityOf, linkIdentity, type State } from "../three_way.ts";
import { linkOnTheWay } from "../way.ts";
import type { Hands } from "./verify.ts";

/** What stands at a path of the home; "folder" where it is neither a file nor a link. */
export async function stateAt({ probe }: Hands, path: string): Promise<State> {
  const entry = probe.stat(path);
  if (entry === undefined) return null;
  if (entry.kind === "link") return linkIdentity(entry.target ?? "");
  if (entry.kind !== "file") return "folder";
  return identityOf(await probe.sha256(path), entry.mode);
}

/**
 * Carries one change out.
 * @param from the generation's folder that has the new version.
 * @param kept where the version that goes is put first.
 * @returns why it was not done; undefined where it was.
 */
export async function applyChange(
  hands: Hands,
  change: Change,
  from: string,
  kept: string,
): Promise<string | undefined> {
  const { probe } = hands;
  const live = join(probe.home, change.path);
  if (!isShared(change.path)) return `${change.path} has one writer, and it is not the peer`;
  const link = linkOnTheWay(probe, probe.home, change.path);
  if (link !== undefined) return `${link} is a link here: nothing is written through it`;
  const now = await stateAt(hands, live);
  if (now === change.now) return undefined; // an earlier try came this far
  if (now !== change.was) return `${change.path} changed here in the meantime`;
  const unsound = await unsoundConfig(hands, change, from);
  if (unsound !== undefined) return unsound;
  if (now !== null) keep(hands, live, kept);
  return place(hands, change.now, join(from, change.path), live, change.path);
}

/** Why a shared.cfg that arrived does not go live; undefined where it may: a peer's word that it is sound counts for nothing. */
async function unsoundConfig(
  { probe }: Hands,
  { path, now }: Change,
  from: string,
): Promise<string | undefined> {
  if (path !== "shared.cfg" || now === null) return undefined;
  const reading = await lookAtConfig({ home: from, read: (at) => probe.read(at) });
  if (reading.state === "ok" || reading.state === "absent") return undefined;
  return `shared.cfg can't be used: ${configError(path, reading).why}`;
}

/** Puts a version in its place; null takes the path away. */
export async function place(
  hands: Hands,
  state: State,
  from: string,
  to: string,
  path: string,
): Promise<string | undefined> {
  const { probe, act } = hands;
  if (state === null) {
    act.remove(to);
    return undefined;
  }
  if (state.startsWith("@")) {
    const target = state.slice(1);
    if (!staysInside(path, target)) return `${path} would lead out, to ${target}`;
    act.makeFolder(dirname(to));
    act.link(to, target);
    return undefined;
  }
  const there = await stateAt(hands, from);
  if (there !== state) return `${path} did not arrive as it was announced`;
  act.makeFolder(dirname(to));
  const beside = temporaryBeside(to);
  try {
    act.copy(from, beside);
    act.chmod(beside, (probe.stat(from)?.mode ?? 0o600) & 0o777);
    act.replaceWith(to, beside);
  } finally {
    act.remove(beside);
  }
  return undefined;
}

/** A copy, not a second name: an editor that writes in place must not reach it. */
function keep({ probe, act }: Hands, live: string, kept: string): void {
  act.makeFolder(dirname(kept));
  act.remove(kept);
  const entry = probe.stat(live);
  if (entry?.kind === "link") act.link(kept, entry.target ?? "");
  else {
    act.copy(live, kept);
    act.chmod(kept, entry?.mode ?? 0o600);
  }
}
