/** Two releases beside each other: which one is the older. Pure. */
import { compareVersions } from "../facts/versions.ts";
import type { Release } from "../release.ts";

/** What another host's release is to this one's; "other" where nothing tells which is the older. */
export type ReleaseOrder = "older" | "newer" | "other";

/**
 * How `theirs` stands to `mine`; undefined where both are the same. What differs from host to host by design (target, Bun) does not count. `age` decides
 * between equal versions: negative where theirs was made first.
 */
export function releaseOrder(mine: Release, theirs: Release, age = 0): ReleaseOrder | undefined {
  const { version, commit, dirty } = mine;
  if (theirs.version === version && theirs.commit === commit && theirs.dirty === dirty) {
    return undefined;
  }
  const order = compareVersions(theirs.version, version) || Math.sign(age);
  return order < 0 ? "older" : order > 0 ? "newer" : "other";
}

/** A release for a person: "0.1.0 (0123456789ab with changes)". */
export function releaseName({ version, commit, dirty }: Release): string {
  return `${version.slice(0, 40)} (${commit?.slice(0, 12) ?? "no commit"}${dirty ? " with changes" : ""})`;
}
