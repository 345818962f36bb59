/** Changing owner and mode of exactly the entry that was meant, and never of what a link in its place leads to. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  realpathSync,
  statSync,
} from "node:fs";
import { dirname, relative } from "node:path";
import { ShelterError } from "../errors.ts";
import type { Owner } from "../unit.ts";

/** open(2), Linux: names an entry without opening it, so that one that its owner may not read works too. Not in node's constants. */
const O_PATH = 0o10000000;

/**
 * Calls `change` with a path that stands for the entry at `path` whatever is renamed meanwhile. Below `base`, no folder on the way may be a link either:
 * else root, tidying somebody's home, could be led to a file of the system's. @throws the system's error: ELOOP for a link, ENOTDIR for one on the way.
 */
function pinned(base: string, path: string, change: (real: string) => void): void {
  const inside = path === base ? [] : relative(base, path).split("/");
  const below = path.startsWith(`${base}/`) && inside.length > 0;
  const last = constants.O_NOFOLLOW | O_PATH;
  let handle = openSync(below ? base : path, below ? O_PATH : last);
  try {
    for (const [index, name] of below ? inside.entries() : []) {
      const flags = index === inside.length - 1 ? last : last | constants.O_DIRECTORY;
      const next = openSync(`/proc/self/fd/${handle}/${name}`, flags);
      closeSync(handle);
      handle = next;
    }
    // an O_PATH handle of a link is the link itself, and changing through it would follow it
    if (fstatSync(handle).isSymbolicLink()) {
      throw Object.assign(new Error(`ELOOP: a symbolic link, '${path}'`), { code: "ELOOP", path });
    }
    change(`/proc/self/fd/${handle}`);
  } finally {
    closeSync(handle);
  }
}

/** Sets the permission bits of a file or folder; see `pinned` for `base`. */
export function setMode(base: string, path: string, mode: number): void {
  pinned(base, path, (real) => chmodSync(real, mode));
}

/** Gives a file or folder to somebody; see `pinned` for `base`. */
export function setOwner(base: string, path: string, owner: Owner): void {
  pinned(base, path, (real) => chownSync(real, owner.uid, owner.gid));
}

/**
 * For root at work in somebody's home: refuses a path below `home` that links lead out of it, unless to a folder of that person's own (models on another
 * disk). `opens`: the act writes into what stands at `path`, so a link there counts too; else the link itself is replaced. Without this a link in the place of a log would make root write where its owner may not. It looks before the act, so it does not hold against an owner
 * who swaps folders while root is at work.
 * @throws ShelterError "leads-out"
 */
export function refuseLeadingOut(home: string, path: string, owner: Owner, opens: boolean): void {
  if (path === home) return;
  const link = opens && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  const place = link ? path : nearest(dirname(path));
  const real = resolved(place);
  if (real === undefined && !link) return; // nothing can be made below what leads nowhere
  const realHome = resolved(home);
  if (real !== undefined) {
    if (real === realHome || real.startsWith(`${realHome}/`)) return;
    if (statSync(real).uid === owner.uid) return;
  }
  const where = real ?? "a place that is not there";
  throw new ShelterError(
    "leads-out",
    `changing ${path} as root`,
    `a link leads to ${where}, outside of the home and not its owner's (user ${owner.uid})`,
    ["ls", "-ld", place],
  );
}

function nearest(path: string): string {
  let up = path;
  while (up !== "/" && lstatSync(up, { throwIfNoEntry: false }) === undefined) up = dirname(up);
  return up;
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
