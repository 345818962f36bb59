/** The laws, on homes as a person, a crash, an old release or somebody hostile may have left them. */
import * as fc from "fast-check";
import { unit } from "../../scripts/00_check_structure.ts";
import { FAKE_HOME, type FakeFile } from "../support/fake_machine.ts";
import { anyHome, madeOnTheWay } from "../support/homes.ts";
import { offerOf } from "../support/two_worlds.ts";
import { lawsOf, type LawWorld } from "../support/laws.ts";

const DAY = 24 * 60 * 60 * 1000;
/** An owner that is not root, and exists nowhere. */
const OWNER = 54_321;

/** The same home under sudo: all of it its owner's, but for what root left in it. */
function underSudo(files: Readonly<Record<string, FakeFile>>): Record<string, FakeFile> {
  return Object.fromEntries(
    Object.entries(files).map(([path, file], at): [string, FakeFile] => {
      const owned = path.startsWith(FAKE_HOME) && at % 3 !== 0;
      if (typeof file === "string") return [path, { text: file, uid: owned ? OWNER : 0 }];
      if (path === FAKE_HOME) return [path, { ...file, uid: OWNER }];
      return [path, "link" in file || !owned ? file : { ...file, uid: OWNER }];
    }),
  );
}

/** What tells a clone: a folder without any sign is no home, and what is no home is left alone. */
const SIGN: Readonly<Record<string, FakeFile>> = {
  [`${FAKE_HOME}/scripts/00_check_structure.ts`]: { text: "", mode: 0o644 },
};

const TRUST: Readonly<Record<string, FakeFile>> = {
  [`${FAKE_HOME}/runtime/trust/shadow.json`]: {
    text: JSON.stringify({ ...offerOf("shadow"), pairedAt: "2026-01-01T00:00:00.000Z" }),
    mode: 0o600,
  },
};

/** The same file, cut short. */
const LOST: Readonly<Record<string, FakeFile>> = {
  [`${FAKE_HOME}/runtime/trust/shadow.json`]: { text: "{", mode: 0o640 },
};

/** A clock that stands, so that names with a time in them are the same in every copy of a world. */
const stoppedAt = (time: number) => () => time;

const worlds: fc.Arbitrary<LawWorld> = fc
  .record({
    files: anyHome,
    // far in the future all that is there is old, and nothing of it can be somebody's work of this minute
    ahead: fc.constantFrom(0, 2 * DAY, 40 * DAY),
    // a paired host that is not there: its word is missing, and nothing else is
    paired: fc.constantFrom({}, TRUST, LOST),
    sudo: process.getuid?.() === 0 ? fc.boolean() : fc.constant(false),
  })
  .map(({ files, paired, ...rest }) => ({
    files: { ...files, ...SIGN, ...paired },
    ...rest,
  }))
  .map(({ files, ahead, sudo }) => ({
    machine: {
      files: sudo ? underSudo(files) : files,
      now: stoppedAt(Date.now() + ahead),
      programs: { ssh: () => ({ code: 255, stderr: "No route to host" }) },
      me: sudo ? { uid: 0, gid: 0, root: true } : {},
    },
  }));

lawsOf(unit, worlds, { runs: 15, timeout: 300_000, mayDrop: madeOnTheWay });
