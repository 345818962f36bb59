/** What 00_check_structure says of the ground that a home stands on: is it one at all, and is there room. Pure. */
import { bytes } from "../report/text.ts";
import type { Finding } from "../unit.ts";
import type { StructureFacts } from "./structure_facts.ts";

/** Below this a build or a download is likely to fail. */
const LITTLE_SPACE = 2 * 1024 ** 3;
/** Below this not even the record of a run may fit. */
const NO_SPACE = 16 * 1024 ** 2;

/** Says that a folder is no home, and what would make it one. */
export function noHome({ home }: StructureFacts): Finding {
  return {
    id: "no-home",
    level: "fail",
    what: `nothing shows that ${home} is a home`,
    why: "there is no shared.cfg, no scripts/ and no program of ours in it, and what is not a home is not put right",
    evidence: home,
    fix: ["./bin/02_scaffold_dirs", "--home", home],
  };
}

/** Room and inodes on the home's file system. */
export function spaceFindings({ space, home }: StructureFacts): readonly Finding[] {
  if (space === undefined) {
    return [
      {
        id: "space",
        level: "unknown",
        what: "free space could not be read",
        why: "a full disk is found only when it hurts",
        evidence: home,
      },
    ];
  }
  const found: Finding[] = [];
  if (space.readOnly) {
    found.push({
      id: "read-only",
      level: "fail",
      what: "the home's file system is mounted read-only",
      why: "nothing can be kept there; after a disk error the kernel mounts it so by itself",
      evidence: `/proc/self/mounts, ${home}`,
      fix: ["dmesg", "--level=err,crit"],
    });
  }
  const level = space.free < NO_SPACE ? "fail" : space.free < LITTLE_SPACE ? "warn" : undefined;
  if (level) {
    found.push({
      id: "space",
      level,
      what: `only ${bytes(space.free)} are free on the home's file system`,
      why: "an engine's build takes about 1 GiB, a model 0.1 to 5 GiB",
      evidence: `${bytes(space.free)} of ${bytes(space.total)}`,
      fix: ["du", "-xhd2", home],
    });
  }
  if (space.inodes > 0 && space.inodesFree < Math.max(1000, space.inodes / 100)) {
    found.push({
      id: "inodes",
      level: space.inodesFree < 100 ? "fail" : "warn",
      what: `only ${space.inodesFree} more files fit on the home's file system`,
      why: "it runs out of inodes before it runs out of room",
      evidence: `${space.inodesFree} of ${space.inodes} inodes free`,
      fix: ["du", "-x", "--inodes", "-d2", home],
    });
  }
  return found.length > 0
    ? found
    : [
        {
          id: "space",
          level: "ok",
          what: `${bytes(space.free)} are free`,
          why: "there is room to work",
          evidence: `${bytes(space.free)} of ${bytes(space.total)}`,
        },
      ];
}
