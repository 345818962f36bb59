/** What systemd says of a unit, read as a look. The texts are `systemctl show` of systemd 252. */
import { expect, test } from "bun:test";
import { lastWord } from "../../lib/services/last_word.ts";
import { judgeUnit } from "../../lib/watch/units.ts";

const ACTIVE = { state: "down", why: "it runs, but does not answer" } as const;
const unit = (lines: Readonly<Record<string, string>>) =>
  judgeUnit(
    Object.entries({ LoadState: "loaded", UnitFileState: "enabled", ...lines })
      .map(([key, value]) => `${key}=${value}\n`)
      .join(""),
    ACTIVE,
  );

test.each([
  [{ LoadState: "not-found", ActiveState: "inactive" }, "absent"],
  [{ ActiveState: "activating", SubState: "auto-restart" }, "starting"],
  [{ ActiveState: "deactivating" }, "starting"],
  [{ ActiveState: "active" }, "down"],
  [{ ActiveState: "failed", Result: "signal", ExecMainStatus: "9" }, "down"],
  [{ ActiveState: "inactive", UnitFileState: "masked", LoadState: "masked" }, "stopped"],
  [{ ActiveState: "inactive", UnitFileState: "disabled" }, "stopped"],
  [
    { ActiveState: "inactive", Result: "success", ExecMainStartTimestampMonotonic: "77" },
    "stopped",
  ],
  [{ ActiveState: "inactive", Result: "success", ExecMainStartTimestampMonotonic: "0" }, "down"],
  [{}, "unknown"],
] as const)("%j is %s", (lines, state) => {
  expect(unit(lines).state).toBe(state);
});

test("a service's own last word names the cause; want of memory is the kernel's to tell", () => {
  const StatusText = lastWord({
    id: "lock-damaged",
    what: "taking the lock",
    why: "it is damaged",
  });
  const failed = { ActiveState: "failed", StatusText, ExecMainStatus: "11" };
  expect(unit({ ...failed, Result: "exit-code" })).toEqual({
    state: "down",
    why: "taking the lock: it is damaged",
    cause: "lock-damaged",
  });
  expect(unit({ ...failed, Result: "oom-kill" })).toMatchObject({ cause: "out-of-memory" });
  expect(unit({ ...failed, Result: "exit-code", StatusText: "serving x" })).toEqual({
    state: "down",
    why: "it ended with 11",
  });
});
