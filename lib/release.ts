/** Which release this program is: filled in by scripts/build.ts when it compiles, "from source" otherwise. */
import { version } from "../package.json";

/** What a compiled program knows of its own making. */
export interface Release {
  readonly version: string;
  /** Commit it was built from; null when run from source or built outside a clone. */
  readonly commit: string | null;
  /** True when the tree held changes that the commit does not. */
  readonly dirty: boolean;
  /** When that commit was made, UTC, ISO 8601; left out where there is none. */
  readonly made?: string;
  /** Bun's name of the target, e.g. "bun-linux-x64"; "source" when not compiled. */
  readonly target: string;
  /** Version of Bun inside it. */
  readonly bun: string;
}

/** Put in by the bundler's `define`; does not exist when run from source. */
declare const SHELTER_BUILD:
  | {
      readonly commit: string | null;
      readonly dirty: boolean;
      readonly target: string;
      /** The line of lib/orchestra/made.ts, by which others tell this program's age; "" where there is no commit. */
      readonly line: string;
    }
  | undefined;

const MADE = /made (\S+)/;
const built = typeof SHELTER_BUILD === "undefined" ? undefined : SHELTER_BUILD;

/** This program's release. */
export const RELEASE: Release = {
  version,
  commit: built?.commit ?? null,
  dirty: built?.dirty ?? false,
  ...madeIn(built?.line ?? ""),
  target: built?.target ?? "source",
  bun: Bun.version,
};

/** True inside a compiled binary. */
export const COMPILED = built !== undefined;

function madeIn(line: string): Pick<Release, "made"> {
  const made = MADE.exec(line)?.[1];
  return made === undefined ? {} : { made };
}

/** What `--version` prints: one line, or one JSON document. `name` is what the program was called by. */
export function versionText(name: string, json: boolean): string {
  if (json) return JSON.stringify({ schema: 1, name, ...RELEASE }, undefined, 2);
  const { commit, dirty, target, bun } = RELEASE;
  const from = commit === null ? "no commit" : commit.slice(0, 12) + (dirty ? " with changes" : "");
  return `${name} ${version} (${from}, ${target}, Bun ${bun})`;
}
