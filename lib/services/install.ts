/** Putting files below the root-owned folder, and the services' place in the home: what no step of the engine's own can say. */
import { dirname } from "node:path";
import { IntegrityError, ShelterError } from "../errors.ts";
import { fields } from "../gateway/piece.ts";
import { inHome } from "../keep/home.ts";
import type { Act } from "../machine/act.ts";
import { systemctl } from "../steps/services.ts";
import type { Call, Json, Step } from "../unit.ts";
import type { InstallFile } from "./facts.ts";
import { type Links, setLinks } from "./live.ts";
import { mayWrite } from "./gateway_document.ts";
import { ENGINE_UNIT, GATEWAY_UNIT, GIVEN_UP, inServices, TOP, WATCH_UNIT } from "./places.ts";

/** The step that installs files; its undo removes them, with the folders that were made for them. */
export function installStep(files: readonly InstallFile[], why: string): Step {
  return {
    do: "call",
    name: "install_files",
    args: { files: files.map((file): Json => ({ ...file })) },
    undo: { restore: files.map(({ to }) => to) },
    why,
  };
}

/** The step that makes the services' place in the home. */
export const PLACE_STEP: Step = {
  do: "call",
  name: "make_place",
  args: {},
  undo: { by: "clear_place" },
};

/** The step that takes up a build again that was given up. */
export function takeUpStep(build: string): Step {
  return {
    do: "call",
    name: "take_up",
    args: { build },
    undo: { by: "give_up" },
    why: "it was given up, and is tried again",
  };
}

/**
 * The step that makes a release the one that serves. With `restart` it was installed and given up, so what runs of its units runs from the release before:
 * it is started anew, and where it does not get ready the run ends and goes back.
 */
export function liveStep(release: string, links: Links, was: Links, restart: boolean): Step {
  return {
    do: "call",
    name: "go_live",
    args: { release, links: { ...links }, was: { ...was }, restart },
    undo: { by: "leave_live" },
    why: restart ? "it was given up, and is tried again" : `release ${release}`,
  };
}

/** Copies each file beside its place, proves the copy, and only then gives it its name: what root runs is what was looked at. */
export const installFiles: Call = async ({ probe, act, signal }, args) => {
  for (const one of Array.isArray(args["files"]) ? (args["files"] as readonly Json[]) : []) {
    signal.throwIfAborted();
    const { from, to, sha256 } = fields(one) ?? {};
    if (typeof from !== "string" || typeof to !== "string" || !to.startsWith(`${TOP}/`)) {
      throw new ShelterError("install-place", `installing ${String(to)}`, `it is not below ${TOP}`);
    }
    for (const folder of foldersTo(to)) act.makeFolder(folder, 0o755);
    const part = `${to}.part`;
    act.remove(part);
    try {
      act.copy(from, part);
      if ((await probe.sha256(part)) !== sha256) {
        throw new IntegrityError("changed-meanwhile", `installing ${to}`, `${from} has changed`);
      }
      act.chmod(part, to.endsWith(".json") ? 0o644 : 0o755);
      act.rename(part, to);
    } finally {
      act.remove(part);
    }
  }
};

/** The folders from the top one to a file's own: each must be open to who runs what is in it, and a folder made in passing would not be. */
function foldersTo(path: string): readonly string[] {
  const folder = dirname(path);
  return folder.startsWith(`${TOP}/`) ? [...foldersTo(folder), folder] : [dirname(TOP), TOP];
}

export const makePlace: Call = ({ probe, act }) => {
  act.makeFolder(inServices.folder(probe.home));
  return Promise.resolve();
};

export const takeUp: Call = async ({ act }) => {
  act.remove(GIVEN_UP);
  await startAnew(act);
};

export const giveUp: Call = async ({ act }, { build }) => {
  if (typeof build !== "string") throw new TypeError("give_up has no build");
  act.write(GIVEN_UP, `${build}\n`, 0o644);
  await startAnew(act);
};

/** An engine that runs starts from what is noted now, from a count of zero; there may be none yet. Not waited for: how it goes is the watcher's to judge. */
async function startAnew(act: Act): Promise<void> {
  await systemctl(act, ["reset-failed", "--", ENGINE_UNIT], true);
  await systemctl(act, ["try-restart", "--no-block", "--", ENGINE_UNIT], true);
}

export const goLive: Call = (context, args) => switchTo(context, args, args["links"]);

export const leaveLive: Call = (context, args) => switchTo(context, args, args["was"]);

const switchTo = async (
  { probe, act, signal }: Parameters<Call>[0],
  { release, restart }: Parameters<Call>[1],
  links: unknown,
): Promise<void> => {
  if (typeof release !== "string") throw new TypeError("the step has no release");
  setLinks({ probe, act }, release, linksIn(links));
  if (restart !== true) return;
  for (const unit of [GATEWAY_UNIT, WATCH_UNIT]) {
    await systemctl(act, ["reset-failed", "--", unit], true);
    await systemctl(act, ["try-restart", "--", unit], false, signal);
  }
  // it serves: how it comes back is the watcher's to judge
  await startAnew(act);
};

function linksIn(value: unknown): Links {
  const { current, before, serves } = fields(value) ?? {};
  return {
    ...(typeof current === "string" ? { current } : {}),
    ...(typeof before === "string" ? { before } : {}),
    ...(typeof serves === "string" ? { serves } : {}),
  };
}

/** Removes what the services made for themselves: keys, presets, certificates, the gateway's document where it is theirs, and what root's act noted. */
export const clearPlace: Call = ({ probe, act }) => {
  act.remove(inServices.folder(probe.home));
  const document = inHome.gateway(probe.home);
  if (probe.stat(document) && mayWrite(probe.text(document))) act.remove(document);
  if (probe.stat(GIVEN_UP)) act.remove(GIVEN_UP);
  return Promise.resolve();
};
